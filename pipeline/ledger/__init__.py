"""The embedded store: everything a run on one machine must not forget."""
