"""Simulated devices that send a data set's images to Kafka."""
