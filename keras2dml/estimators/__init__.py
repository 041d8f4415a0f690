"""The estimators, and their reports and exports."""
