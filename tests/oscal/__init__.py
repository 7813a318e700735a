"""OSCAL files validated by compliance-trestle, which has an environment of its own (`make oscal`)."""
