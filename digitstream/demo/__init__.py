"""The whole way once, with a report."""
