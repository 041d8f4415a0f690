"""Lists dead letters, shows them in detail, and sends their readings again."""
