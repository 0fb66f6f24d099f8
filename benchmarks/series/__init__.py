"""Value series with labelled anomalies, and how alarms on them are marked."""
