"""Figures of the lab, as ratios from one run: `make bench`."""
