"""Clients of Kafka and of what speaks its protocol: shared by the brokers of a run and by Event Hubs."""
