"""Vendor forms: rows of numbers become the lines and files of real exports."""
