"""Checks an installation, reports the state of its query, and compares models."""
