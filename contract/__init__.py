"""What the programs agree on: events on the wire, scaling, model bundle, settings."""
