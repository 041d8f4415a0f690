"""Kafka: connections, clients, topics, and readers that neither lose nor repeat records."""
