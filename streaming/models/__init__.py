"""The models in service: which model answers which readings, and when another takes over."""
