"""Service health advisories: reading files of them, and what their text names."""
