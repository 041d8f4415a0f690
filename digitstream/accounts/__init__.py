"""Accounts for the readings, from the topics and from the tables."""
