"""Tampers with bundles of evidence, one by one, and looks whether each is found."""
