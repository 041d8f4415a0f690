"""A training run: its examples, its plan, its steps, callbacks and checkpoints."""
