"""The tables of the archive, as their owner sees them: maintained, and asked with SQL."""
