"""The archive: Kafka topics -> Delta tables, each record exactly once."""
