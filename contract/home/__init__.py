"""Files of running queries in HOME: checkpoints and heartbeats."""
