"""Clients of Kafka: how they are made, and readers of topics that lose and repeat nothing."""
