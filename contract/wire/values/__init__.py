"""Strict parsers for the values in events: JSON, its fields, times."""
