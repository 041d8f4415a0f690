"""The DML scripts: scoring, training, measuring, updates and the parameter server."""
