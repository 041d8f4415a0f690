"""The scoring query: its micro-batches, their pace, its reports and its failures."""
