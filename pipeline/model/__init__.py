"""The vocabulary every other package speaks; imports the standard library and pyarrow only."""
