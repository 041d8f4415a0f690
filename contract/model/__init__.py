"""Model bundles, and the registry of their versions."""
