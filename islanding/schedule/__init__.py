"""Runs on a schedule: when they are due, what starts them, and what is left of those that were."""
