"""Vendor records to event batches: what a record says, in the project's own vocabulary."""
