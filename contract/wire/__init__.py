"""Events, as messages of Kafka: their schemas' codecs. Knows no client."""
