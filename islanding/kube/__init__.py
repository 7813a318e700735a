"""Kubernetes as seen through kubectl: command lines, and what its answers say."""
