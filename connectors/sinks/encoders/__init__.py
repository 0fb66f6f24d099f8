"""Forms of flags and incidents: pure functions from a document to one line, one file per form."""
