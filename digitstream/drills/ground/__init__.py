"""Installations in which drills may break things."""
