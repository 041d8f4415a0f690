"""Accounts of the readings: read from the topics, and from the tables."""
