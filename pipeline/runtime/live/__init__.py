"""The live run of a tenant, whatever carries its records: embedded or on Kafka."""
