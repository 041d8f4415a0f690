"""Graphs as DML: forward, backward, and embeddings in slices."""
