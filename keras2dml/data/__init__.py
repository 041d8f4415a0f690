"""X and y as users bring them."""
