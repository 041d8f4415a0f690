"""The settings of each program, and where their values come from."""
