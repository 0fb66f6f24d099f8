"""How near the detectors come to the least delay that is possible, against the usual ones."""
