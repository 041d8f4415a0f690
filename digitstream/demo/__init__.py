"""The demo: train, stream, score and report, end to end."""
