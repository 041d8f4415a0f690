"""The history: Kafka's topics -> Delta tables, each record once."""
