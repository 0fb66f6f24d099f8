"""Flags to incidents: what moves together is one incident, with verdict and scope."""
