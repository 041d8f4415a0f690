"""Maintains the tables of the archive, and queries them in SQL."""
