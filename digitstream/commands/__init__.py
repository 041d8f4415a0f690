"""The commands, by subject. Each imports what it needs when it runs, so all start fast."""
