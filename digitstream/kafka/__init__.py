"""The embedded Kafka: its server, its certificates, users and rights."""
