"""Simulated devices that replay a data set to Kafka."""
