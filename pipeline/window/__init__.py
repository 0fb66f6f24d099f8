"""Events to closed windows: dedupe, counting, completeness, gaps; numpy and Arrow only."""
