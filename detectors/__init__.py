"""Online detectors built on River: one detector per file, one lane or a whole bank."""
