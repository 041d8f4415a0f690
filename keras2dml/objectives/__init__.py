"""What `compile()` says: losses, metrics, regularizers and the optimizer,
as what training makes small.
"""
