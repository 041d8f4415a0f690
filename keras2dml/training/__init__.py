"""Training runs: examples, plan, steps, callbacks and checkpoints."""
