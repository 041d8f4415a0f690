"""Copies of Keras models and optimizers, and what a copy would lose of them."""
