"""Incidents beside advisories: matching, impact, recurrence, and who was first."""
