"""Destinations: one file each; they deliver, and never sleep or retry by themselves."""
