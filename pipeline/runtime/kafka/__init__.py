"""The same run on Kafka: many workers, exactly once."""
