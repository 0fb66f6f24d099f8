"""Outrider's stages, from event batches to incidents; imports nothing by itself."""
