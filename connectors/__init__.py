"""Everything that touches the outside world: sources, normalisers, advisories, sinks."""
