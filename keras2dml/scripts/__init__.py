"""The scripts that are run: scoring, training, measuring, updates and the parameter server."""
