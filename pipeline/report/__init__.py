"""The report a person reads: texts, charts and one self-contained page."""
