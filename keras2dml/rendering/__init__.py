"""Renders graphs as DML: the forward pass, the backward pass, and gradients in slices."""
