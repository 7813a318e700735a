"""The table of requirements: what a site must be shown to do, read from reports/requirements.yaml and validated."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from islanding.errors import SetupError
from islanding.paths import content_dir

_AREA = re.compile(r"[A-Z]")
_ROW = re.compile(r"[A-Z]-\d\d")


@dataclass(frozen=True)
class Requirement:
    """One row: its id (`O-07`), its area's letter and title, its text, and why no case was ever written for it."""

    id: str
    area: str
    area_title: str
    text: str
    uncovered: str = ""


def load_requirements(path: Path | None = None) -> tuple[Requirement, ...]:
    """Read the rows in the order of the file; `path` defaults to the project's own table.

    Raises SetupError naming the file and the key for anything that is not an area with a title and rows.
    """
    path = path or content_dir("reports") / "requirements.yaml"
    try:
        raw = yaml.load(path.read_text(encoding="utf-8"), Loader=_StrictLoader)  # noqa: S506 - a SafeLoader
    except OSError as error:
        raise SetupError(f"{path}: cannot be read: {error.strerror}", "Restore the file from the project.") from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise SetupError(f"{path}: not valid YAML: {error}", "Mend the line named above.") from error
    if not isinstance(raw, dict) or not raw:
        raise SetupError(f"{path}: must be a mapping of areas", "Write `O: {title: ..., rows: {O-01: ...}}`.")
    return tuple(row for area, body in raw.items() for row in _area(path, area, body))


def _area(path: Path, area: Any, body: Any) -> list[Requirement]:
    if not isinstance(area, str) or not _AREA.fullmatch(area):
        raise SetupError(f"{path}: area {area!r} is not one capital letter", "Areas are named O, C, V, ...")
    if not isinstance(body, dict) or set(body) - {"uncovered"} != {"title", "rows"}:
        keys = sorted(map(str, body)) if isinstance(body, dict) else body
        raise SetupError(
            f"{path}: area {area} has {keys!r}", "An area has the keys `title`, `rows` and, if need be, `uncovered`."
        )
    title, rows = body["title"], body["rows"]
    if not isinstance(title, str) or not title.strip():
        raise SetupError(f"{path}: area {area} has no title", "Give it a text.")
    if not isinstance(rows, dict) or not rows:
        raise SetupError(f"{path}: area {area} has no rows", f"Write rows as `{area}-01: text`.")
    for key, text in rows.items():
        if not isinstance(key, str) or not _ROW.fullmatch(key) or key[0] != area:
            raise SetupError(f"{path}: area {area} has a row {key!r}", f"Rows of area {area} are named {area}-01, ...")
        if not isinstance(text, str) or not text.strip():
            raise SetupError(f"{path}: row {key} has no text", "Say in one sentence what is shown.")
    why = _uncovered(path, area, body.get("uncovered", {}), rows)
    return [Requirement(key, area, title.strip(), text.strip(), why.get(key, "")) for key, text in rows.items()]


def _uncovered(path: Path, area: str, given: Any, rows: dict[str, Any]) -> dict[str, str]:
    """Why rows have no case, by row: one text for all rows of the area, or a text for each of some."""
    why = dict.fromkeys(rows, given) if isinstance(given, str) else given
    if not isinstance(why, dict) or not all(isinstance(text, str) and text.strip() for text in why.values()):
        raise SetupError(f"{path}: area {area}: `uncovered` is no text", "Write a text, or a text for each row.")
    if unknown := sorted(map(str, set(why) - set(rows))):
        raise SetupError(f"{path}: area {area}: `uncovered` names {', '.join(unknown)}", "Name rows of this area.")
    return {row: text.strip() for row, text in why.items()}


class _StrictLoader(yaml.SafeLoader):
    """YAML that refuses a key given twice: the second would silently replace the first."""


def _mapping(loader: _StrictLoader, node: yaml.MappingNode) -> dict[Any, Any]:
    seen: set[Any] = set()
    for key_node, _ in node.value:
        key = loader.construct_object(key_node, deep=True)
        if key in seen:
            raise yaml.constructor.ConstructorError(None, None, f"key {key!r} is given twice", key_node.start_mark)
        seen.add(key)
    return loader.construct_mapping(node, deep=True)


_StrictLoader.add_constructor(yaml.resolver.BaseResolver.DEFAULT_MAPPING_TAG, _mapping)
