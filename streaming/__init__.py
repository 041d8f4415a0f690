"""The scoring query: Kafka -> decode -> validate -> scale -> score -> publish -> Kafka."""
