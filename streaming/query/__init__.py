"""The query that scores: its micro-batches, their pace, its reports, and what stops it."""
