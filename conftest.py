"""Loads the project's pytest plugin from the checkout; an installed package brings it by its entry point."""

from __future__ import annotations

from importlib.metadata import entry_points

_INSTALLED = any(entry.value == "islanding.plugin" for entry in entry_points(group="pytest11"))

pytest_plugins = [] if _INSTALLED else ["islanding.plugin"]
