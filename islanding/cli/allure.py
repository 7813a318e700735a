"""Allure's single page of a run: the pinned generator installed once into the cache, run offline, its page cleaned."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

from islanding.errors import SetupError
from islanding.evidence.allure import allure_files
from islanding.evidence.allurepage import cleaned_page, configuration, history
from islanding.evidence.record import RunResult
from islanding.paths import cache_dir, content_dir
from islanding.process import Result, run

PAGE = "allure.html"
RESULT = "result.json"
NODE = 20  # what the generator's packages ask for, see package-lock.json
_INSTALL = ("npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--omit=dev")
_INSTALL_SECONDS = 900.0
_GENERATE_SECONDS = 300.0
_PINS = ("package.json", "package-lock.json", ".npmrc")
_AGAIN = "then run `islanding report RUN --allure` again"


def write_page(result: RunResult, home: Path, say: Callable[[str], None]) -> Path:
    """Make allure.html in the run's folder `home` and return its path; `say` is told what takes long.

    Raises SetupError when Node.js or npm is missing or too old, when the generator cannot be installed, when it fails,
    or when its page is not as it is known.
    """
    generator = installed(say)
    with tempfile.TemporaryDirectory(prefix="islanding-allure-") as name:
        work = Path(name)
        (work / "results").mkdir()
        for file, data in allure_files(result).items():
            (work / "results" / file).write_bytes(data)
        (work / "history.jsonl").write_text(history(_others(home, result.run)), encoding="utf-8")
        (work / "rc.json").write_text(configuration(result.run or home.name, "page", "history.jsonl"), encoding="utf-8")
        argv = ["node", str(generator / "node_modules/allure/cli.js"), "generate", "-c", "rc.json", "results"]
        done = run(argv, cwd=work, timeout=_GENERATE_SECONDS, check=False)
        page = work / "page" / "index.html"
        if not done.ok or not page.is_file():
            raise SetupError(
                f"Allure's generator failed: {_last(done)}",
                f"Remove {generator}, so that it is installed anew, {_AGAIN}.",
            )
        text = cleaned_page(page.read_text(encoding="utf-8"))
    target = home / PAGE
    temporary = target.with_name(PAGE + ".part")
    temporary.write_text(text, encoding="utf-8")
    temporary.replace(target)
    return target


def installed(say: Callable[[str], None]) -> Path:
    """The folder of the generator in the user's cache, installed by the committed lock when it is not there yet."""
    pins = content_dir("reports") / "allure"
    key = hashlib.sha256(b"".join((pins / name).read_bytes() for name in _PINS)).hexdigest()[:16]
    target = cache_dir() / "allure" / key
    _require_node()
    if (target / "node_modules/allure/cli.js").is_file():
        return target
    say(f"installing Allure's report generator into {target} (once; some 55 MB by npm)")
    target.parent.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=f"{key}.", dir=target.parent))
    try:
        for name in _PINS:
            shutil.copyfile(pins / name, work / name)
        done = run(_INSTALL, cwd=work, timeout=_INSTALL_SECONDS, check=False)
        if not done.ok:
            raise SetupError(
                f"npm could not install Allure's generator: {_last(done)}",
                f"See that npm reaches its registry (`npm ping`), {_AGAIN}.",
            )
        _move(work, target)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return target


def _move(work: Path, target: Path) -> None:
    """The finished folder appears whole; where another process was first, its folder stays."""
    try:
        work.replace(target)
    except OSError:
        if not (target / "node_modules/allure/cli.js").is_file():
            shutil.rmtree(target)  # what a killed installation or a cleaner of caches left
            work.replace(target)


def _require_node() -> None:
    """Raises SetupError unless Node.js, new enough, and npm are in PATH."""
    mend = (
        f"Install Node.js {NODE} or newer with npm (`apt-get install nodejs npm`, or your system's package), {_AGAIN}."
    )
    lacking = [name for name in ("node", "npm") if shutil.which(name) is None]
    if lacking:
        raise SetupError(f"{' and '.join(lacking)} cannot be found: Allure's page is made by a Node.js program", mend)
    said = run(["node", "--version"], check=False).stdout.strip()
    major = said.lstrip("v").split(".")[0]
    if not major.isdigit() or int(major) < NODE:
        raise SetupError(f"Node.js is {said or 'of an unknown version'}, and Allure's generator needs {NODE}", mend)


def _others(home: Path, own: str) -> list[dict[str, Any]]:
    """The results of the runs beside this one, from their result.json; what cannot be read is left out."""
    found = []
    for path in sorted(home.resolve().parent.glob(f"*/{RESULT}")):
        try:
            document = json.loads(path.read_text(encoding="utf-8"))
        except (OSError, ValueError):
            continue
        if isinstance(document, dict) and isinstance(document.get("run"), dict) and document["run"].get("id") != own:
            found.append(document)
    return found


def _last(done: Result) -> str:
    lines = [line.strip() for line in (done.stderr + "\n" + done.stdout).splitlines() if line.strip()]
    reason = "it was stopped at its time limit" if done.exit_code is None else f"exit code {done.exit_code}"
    return "; ".join([reason, *lines[-3:]])[:600]
