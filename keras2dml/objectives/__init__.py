"""What `compile()` configures: losses, metrics, regularizers and the optimizer."""
