"""Events and their encoding as Kafka messages. Imports no Kafka client."""
