"""What a run was given, copied into its folder as it begins: sites, templates, requirements, options, hashes of code.

The journal's first entry holds the SHA-256 of each copy, so that evidence is tied to what was run, also where there is
no version control or the code was changed.
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.paths import content_dir
from islanding.process import run as run_command
from islanding.redact import redact

FOLDER = "inputs"
MOST_BYTES = 1 << 20  # of one file: inputs are texts that people wrote
_SECRET = re.compile(r"PIN|PASS|SECRET|TOKEN|KEY", re.IGNORECASE)


@dataclass(frozen=True)
class Revision:
    """The revision of the code; `clean` is None outside a checkout, else whether nothing was changed since."""

    commit: str = ""
    clean: bool | None = None

    def __str__(self) -> str:
        return self.commit + ("+changes" if self.clean is False else "")


def revision() -> Revision:
    """The revision of the code that runs."""
    here = ["git", "-C", str(Path(__file__).resolve().parent)]
    head = run_command([*here, "rev-parse", "HEAD"], check=False)
    if not head.ok:
        return Revision()
    changed = run_command([*here, "status", "--porcelain"], check=False)
    return Revision(head.stdout.strip(), not changed.stdout.strip() if changed.ok else None)


def host() -> dict[str, Any]:
    """Facts of this computer that bear on a result; none names the computer or its user."""
    try:
        system = platform.freedesktop_os_release().get("PRETTY_NAME", "")
    except OSError:
        system = ""
    return {
        "system": system or "unknown",
        "kernel": platform.release(),
        "machine": platform.machine(),
        "cores": os.cpu_count(),
        "memory_mebibytes": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20,
        "python": platform.python_version(),
    }


def collect(folder: Path, sites: Mapping[str, Sequence[Path]], options: Mapping[str, Any]) -> dict[str, str]:
    """Copy the inputs into `folder`/inputs, secrets taken out; returns the SHA-256 of each copy by its name there.

    `sites` are the files of each site, `options` what the run was asked for.
    """
    home = folder / FOLDER
    written = {}
    for name, data in sorted(_inputs(sites, options)):
        target = home / name
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
        written[name] = hashlib.sha256(data).hexdigest()
    return written


def site_files(site_file: Path) -> list[Path]:
    """The files that make a site: its own and what lies beside it (templates, workload)."""
    return sorted(path for path in site_file.parent.iterdir() if path.is_file() and not path.name.startswith("."))


def _inputs(sites: Mapping[str, Sequence[Path]], options: Mapping[str, Any]) -> Iterator[tuple[str, bytes]]:
    for site, files in sites.items():
        for path in files:
            if path.stat().st_size <= MOST_BYTES:
                yield f"sites/{site}/{path.name}", _text(path)
    for path in sorted(content_dir("reports").rglob("*.yaml")):
        yield f"reports/{path.relative_to(content_dir('reports')).as_posix()}", _text(path)
    said = {
        **options,
        "environment": {
            name: "[redacted]" if _SECRET.search(name) else redact(value)
            for name, value in sorted(os.environ.items())
            if name.startswith("ISLANDING_")
        },
    }
    yield "options.json", json.dumps(said, indent=2, sort_keys=True, ensure_ascii=False).encode() + b"\n"
    yield "code.sha256", "".join(f"{digest}  {name}\n" for name, digest in sorted(_code())).encode()


def _code() -> Iterator[tuple[str, str]]:
    """Name and SHA-256 of each file of the program, of the suites and of the experiments."""
    package = Path(__file__).resolve().parent.parent
    for name, root in [("islanding", package), *((kind, content_dir(kind)) for kind in ("suites", "experiments"))]:
        for path in root.rglob("*"):
            if (
                path.is_file()
                and "__pycache__" not in path.parts
                and not (name == "islanding" and "content" in path.parts)
            ):
                yield f"{name}/{path.relative_to(root).as_posix()}", hashlib.sha256(path.read_bytes()).hexdigest()


def _text(path: Path) -> bytes:
    return redact(path.read_bytes().decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape")
