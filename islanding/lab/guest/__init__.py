"""Files that machines of the lab carry: boot script, bootstrap script, units."""

from __future__ import annotations

from importlib import resources


def text(name: str) -> bytes:
    """The content of a guest file."""
    return (resources.files(__name__) / name).read_bytes()
