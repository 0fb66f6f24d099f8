"""Daily and monthly reports: what happened in a stretch of the calendar, beside the one before."""
