"""The models in service: which one answers which readings, and when another takes over."""
