"""Captures of packets while something happens to a site: a file in the run's folder, its name and hash in the journal.

A capture is an exhibit and no check: where tcpdump cannot run, the journal says why, and the case goes on.
"""

from __future__ import annotations

import hashlib
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from islanding.journal import Journal
from islanding.model import Place, Site
from islanding.paths import CAPTURES
from islanding.redact import redact
from islanding.sampling import place_of
from islanding.wait import WaitTimeout, wait_until

HEADERS = 96  # bytes kept of each packet: its headers, and 24 of what it carries at most, which may hold secrets
MOST = 100_000  # packets, so that a forgotten filter fills no disk
_BEGINS = 15.0  # seconds in which tcpdump has to listen, by SSH through a bastion too
_ENDS = 10.0  # seconds in which it has to write the rest
# It ends when its standard input does: so also when the runner, or the SSH session, is killed.
_UNTIL_TOLD = 'exec 3<&0; "$@" & p=$!; { cat <&3; kill "$p"; } >/dev/null 2>&1 & wait "$p"'


@dataclass(frozen=True)
class Capture:
    """A capture that runs: the file into which it writes; `reason` says why it does not, empty when it does."""

    file: Path
    reason: str = ""


@contextmanager
def capture(
    site: Site, journal: Journal, at: str, expression: str = "", *, interface: str = "any", keep: int = HEADERS
) -> Iterator[Capture]:
    """Capture what `expression` (as for tcpdump; "": everything) lets through at a place, for the length of the block.

    `at` names a place or a router ("": this machine); `keep` is how many bytes of each packet are kept. The journal
    gets one event with the file's name in the run's folder, its SHA-256 and how many packets it holds, or with the
    reason why there is none. Raises SetupError for a place that the site does not have.
    """
    where = None if at in _without_shell(site) else place_of(site, at)
    name = where.name if where else at
    file = _file(journal, name)
    tcpdump = ["tcpdump", "-i", interface, "-n", "--immediate-mode", "-U", "-Z", "root"]
    tcpdump += ["-s", str(keep), "-c", str(MOST), "-w", "-", *filter(None, [expression])]
    start, told = time.monotonic(), {"file": "", "reason": f"no command of ours runs at the router {name}"}
    try:
        if where is None:
            yield Capture(file, told["reason"])
        else:
            with _tcpdump(where, tcpdump, file) as (reason, told):
                yield Capture(file, reason)
    finally:
        about = {"place": name, "interface": interface, "expression": expression, "keep": keep}
        journal.append("capture", **about, start=start, end=time.monotonic(), **told)


def _without_shell(site: Site) -> set[str]:
    """The routers that are no places: nothing of ours runs there."""
    return {router.name for router in site.routers} - {place.name for place in site.places}


@contextmanager
def _tcpdump(where: Place, command: list[str], file: Path) -> Iterator[tuple[str, dict[str, Any]]]:
    """tcpdump while the block lasts: why it does not listen, and what there is to tell of it, filled in at the end."""
    told: dict[str, Any] = {}
    with tempfile.TemporaryFile("w+") as words:
        process = _start(where, command, file, words)
        reason = "it was broken off before it listened"
        try:
            reason = _trouble(process, words)
            yield reason, told
        finally:
            _stop(process)
            told |= _told(file, _said(words), reason)


def _file(journal: Journal, at: str) -> Path:
    """The path of a file that is not there yet, named by case and place."""
    folder = journal.path.absolute().parent / CAPTURES
    words = (str(journal.context.get("case", "site")), at)
    name = "-".join(re.sub(r"[^\w.-]+", "-", word, flags=re.ASCII).strip("-") for word in words)
    return next(path for n in range(1, 10_000) if not (path := folder / f"{name}-{n}.pcap").exists())


def _start(place: Place, command: list[str], file: Path, words: IO[str]) -> subprocess.Popen[bytes]:
    file.parent.mkdir(exist_ok=True)
    with file.open("xb") as out:
        return subprocess.Popen(
            place.argv(["sh", "-c", _UNTIL_TOLD, "sh", *command]),
            stdin=subprocess.PIPE,
            stdout=out,
            stderr=words,
            start_new_session=True,  # Ctrl-C in the terminal is the runner's to handle
        )


def _trouble(process: subprocess.Popen[bytes], words: IO[str]) -> str:
    """Wait until tcpdump says that it listens; why it does not, "" when it does."""

    def settled() -> bool:
        return "listening on" in _said(words) or process.poll() is not None

    with suppress(WaitTimeout):
        wait_until("tcpdump to listen", settled, timeout=_BEGINS, interval=0.02)
    said = _said(words)
    if "listening on" in said:
        return ""
    return redact(said.strip()[-500:]) or f"tcpdump did not listen within {_BEGINS:g} s"


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.stdin:
        process.stdin.close()
    try:
        process.wait(_ENDS)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _said(words: IO[str]) -> str:
    words.seek(0)
    return words.read()


def _told(file: Path, said: str, reason: str) -> dict[str, Any]:
    """What the journal tells of a file; where nothing listened none is kept."""
    if reason:
        file.unlink(missing_ok=True)
        return {"file": "", "reason": reason}
    with file.open("rb") as content:
        digest = hashlib.file_digest(content, "sha256").hexdigest()
    return {
        "file": f"{CAPTURES}/{file.name}",
        "size": file.stat().st_size,
        "sha256": digest,
        "packets": _count(r"(\d+) packets? captured", said),
        "dropped": _count(r"(\d+) packets? dropped by kernel", said),
        "reason": "",
    }


def _count(pattern: str, said: str) -> int | None:
    found = re.search(pattern, said)
    return int(found.group(1)) if found else None


__all__ = ["Capture", "capture"]
