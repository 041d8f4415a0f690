"""Losses, metrics, regularizers and the optimizer, as configured with `compile()`."""
