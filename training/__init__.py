"""The batch program: from historical images to a registered bundle."""
