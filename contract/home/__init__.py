"""What a running query leaves in its home for others: its checkpoint, that it is alive."""
