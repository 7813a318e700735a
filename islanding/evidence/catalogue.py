"""A framework's ids and titles compared with an OSCAL catalogue, as NIST publishes that of SP 800-53."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from islanding.errors import SetupError
from islanding.evidence.controls import Framework


def read_catalogue(path: Path) -> dict[str, str]:
    """Titles by id of every control and enhancement in an OSCAL catalogue (JSON); withdrawn ones are left out.

    Raises SetupError when the file cannot be read or is no such catalogue.
    """
    try:
        document = json.loads(path.read_bytes())
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise SetupError(f"{path}: not JSON: {error}", "Name an OSCAL catalogue in JSON.") from error
    catalogue = document.get("catalog") if isinstance(document, dict) else None
    found = dict(_controls(catalogue))
    if not found:
        raise SetupError(f"{path}: holds no control", "Name an OSCAL catalogue in JSON: its top key is `catalog`.")
    return found


def _controls(node: Any) -> Iterator[tuple[str, str]]:
    """Controls in a catalogue, a group or a control, to any depth."""
    if not isinstance(node, dict):
        return
    for group in _list(node, "groups"):
        yield from _controls(group)
    for control in _list(node, "controls"):
        withdrawn = any(p.get("name") == "status" and p.get("value") == "withdrawn" for p in _list(control, "props"))
        if not withdrawn:
            yield str(control.get("id")), str(control.get("title"))
        yield from _controls(control)


def _list(node: dict[str, Any], key: str) -> list[dict[str, Any]]:
    items = node.get(key)
    return [item for item in items if isinstance(item, dict)] if isinstance(items, list) else []


def differences(framework: Framework, catalogue: dict[str, str]) -> list[str]:
    """What the framework's file says otherwise than the catalogue: ids that it lacks, and other titles."""
    found = []
    for control, title in framework.controls.items():
        if control not in catalogue:
            found.append(f"{control} ({title}): not in the catalogue")
        elif catalogue[control] != title:
            found.append(f"{control}: '{title}' is '{catalogue[control]}' in the catalogue")
    return found
