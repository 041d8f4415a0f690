"""The estimators, and what they show and leave."""
