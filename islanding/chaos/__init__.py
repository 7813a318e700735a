"""Chaos Toolkit over faults and probes: actions, steady-state probes, controls, and the schema of experiments."""
