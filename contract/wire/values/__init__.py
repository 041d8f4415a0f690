"""The values that events are made of: JSON, its fields, times; each is read strictly."""
