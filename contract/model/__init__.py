"""Model bundles, and the registry in which their versions lie."""
