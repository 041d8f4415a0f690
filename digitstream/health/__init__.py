"""Whether an installation is well, what it does, and which of two models does better."""
