"""A labelled Microsoft 365 tenant: users, traffic, outages, confounders and advisories.

Everything is written in the vendor's own export forms; nothing here reads a detector.
"""
