"""X and y as users pass them."""
