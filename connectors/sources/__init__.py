"""Where logs are read from: one file per source."""
