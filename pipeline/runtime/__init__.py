"""Wiring and loops, configuration, logs and progress; imports nothing by itself."""
