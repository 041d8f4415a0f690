"""Training: from historical images to a registered bundle."""
