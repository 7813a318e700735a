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
    """One row: its id (`O-07`), its area's letter and title, and its text."""

    id: str
    area: str
    area_title: str
    text: str


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
    if not isinstance(body, dict) or set(body) != {"title", "rows"}:
        keys = sorted(map(str, body)) if isinstance(body, dict) else body
        raise SetupError(f"{path}: area {area} has {keys!r}", "An area has exactly the keys `title` and `rows`.")
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
    return [Requirement(key, area, title.strip(), text.strip()) for key, text in rows.items()]


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
