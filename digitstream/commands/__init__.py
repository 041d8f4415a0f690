"""The commands, by theme; each imports what it needs when it runs, so that all start fast."""
