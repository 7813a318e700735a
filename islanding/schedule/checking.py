"""Checks the files that start scheduled runs: their form, their calendar, and what of missed and overlapping runs."""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from islanding import yamldoc
from islanding.confmodel import Conf
from islanding.errors import SetupError
from islanding.process import run
from islanding.schedule import calendar, shapes
from islanding.yamldoc import Document, Mistake

UNITS = {".service": ("Unit", "Service", "Install"), ".timer": ("Unit", "Timer", "Install")}
GITLAB_GLOBAL = {"stages", "default", "variables", "workflow", "include"}
ANALYZE = "systemd-analyze"
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*\s*=")
Rule = tuple[tuple[str | int, ...], Callable[[Any], bool], str]

# What a CronJob must say so that runs neither overlap, nor are begun again half done, nor are begun hours late.
CRONJOB_RULES: tuple[Rule, ...] = (
    (
        ("spec", "concurrencyPolicy"),
        lambda v: v == "Forbid",
        "is to be Forbid: two runs at one site disturb each other",
    ),
    (("spec", "startingDeadlineSeconds"), lambda v: v is not None and v >= 10, "is to be 10 at least: see CronJobSpec"),
    (
        ("spec", "jobTemplate", "spec", "backoffLimit"),
        lambda v: v == 0,
        "is to be 0: a failed check is not tried again",
    ),
    (
        ("spec", "jobTemplate", "spec", "template", "spec", "restartPolicy"),
        lambda v: v == "Never",
        "is to be Never: a failed check is not tried again",
    ),
    (
        ("spec", "jobTemplate", "spec", "template", "spec", "terminationGracePeriodSeconds"),
        lambda v: v is not None and v >= 90,
        "is to be 90 at least: so long a run may take to undo its faults",
    ),
)


def check(paths: Sequence[Path]) -> list[str]:
    """What is wrong with the files, a line each with file and line; raises SetupError for one that cannot be read."""
    found: list[str] = []
    units = [path for path in paths if path.suffix in UNITS]
    for path in paths:
        text = _text(path)
        if path.suffix in UNITS:
            found += (f"{path}:{m.line}: {m}" for m in _unit(path, text))
        elif path.suffix in (".yaml", ".yml"):
            found += _yaml(path, text)
        elif path.suffix == ".crontab" or path.name.startswith("crontab"):
            found += (f"{path}:{m.line}: {m}" for m in _crontab(text))
        else:
            found.append(f"{path}:1: starts no run: a .service, .timer, .crontab, .yaml or .yml does")
    return [*found, *_analyzed(units)]


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SetupError(f"cannot read {path}: {getattr(error, 'strerror', None) or error}") from error


# -- systemd -----------------------------------------------------------------------------------------------------------


def _unit(path: Path, text: str) -> Iterator[Mistake]:
    section, settings = "", dict[str, tuple[int, str]]()
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line[0] in "#;":
            continue
        if header := re.fullmatch(r"\[(\w+)\]", line):
            section = header[1]
            if section not in UNITS[path.suffix]:
                yield Mistake(number, section, f"a {path.suffix[1:]} has no such section")
        elif "=" not in line or not section:
            yield Mistake(number, "", f"{line!r} is no setting of a section")
        else:
            key, _, value = line.partition("=")
            settings[key.strip()] = (number, value.strip())
    wanted: dict[str, dict[str, Callable[[str], bool]]] = {
        ".service": {"Type": lambda v: v == "oneshot", "ExecStart": lambda v: v.startswith("/")},
        ".timer": {"OnCalendar": bool, "Persistent": lambda v: v.lower() in {"true", "yes", "on", "1"}},
    }
    words = {
        "Type": "is to be oneshot, so that two runs never overlap",
        "ExecStart": "is to be a program's whole path",
        "OnCalendar": "says when the run is due",
        "Persistent": "is to be true, so that a missed run is made up for",
    }
    for key, fits in wanted[path.suffix].items():
        number, value = settings.get(key, (1, ""))
        if not fits(value):
            yield Mistake(number, key, words[key])


def _analyzed(units: Sequence[Path]) -> Iterator[str]:
    """What systemd itself says of its units, where it is there."""
    if not units or not shutil.which(ANALYZE):
        return
    done = run([ANALYZE, "verify", "--man=no", *map(str, units)], check=False)
    names = [path.name for path in units]
    # It tells of other units of the machine, too; those are not asked about here.
    ours = [line for line in (done.stdout + done.stderr).splitlines() if any(name in line for name in names)]
    yield from (f"{ANALYZE} verify: {line}" for line in ours)
    if not done.ok and not ours:
        yield f"{ANALYZE} verify: exit code {done.exit_code}: {done.stderr.strip()[-500:]}"


# -- crontab -----------------------------------------------------------------------------------------------------------


def _crontab(text: str) -> Iterator[Mistake]:
    lines = [(n, line.strip()) for n, line in enumerate(text.splitlines(), 1)]
    jobs = [(n, line) for n, line in lines if line and not line.startswith("#") and not _ASSIGNMENT.match(line)]
    if not jobs:
        yield Mistake(1, "", "no line of it says when a run is due")
    if text and not text.endswith("\n"):
        yield Mistake(len(lines), "", "cron leaves out a last line that no newline ends")
    for number, line in jobs:
        words = line.split(None, 5)
        if len(words) < 6:
            yield Mistake(number, "", f"{line!r} is not five fields and a command")
            continue
        try:
            calendar.parse(" ".join(words[:5]))
        except SetupError as error:
            yield Mistake(number, "", error.what)
        if "islanding" in words[5] and not words[5].startswith("flock "):
            yield Mistake(number, "", "is not held by flock: a long run and the next would overlap")
        if re.search(r"(?<!\\)%", words[5]):
            yield Mistake(number, "", "a percent sign ends the command: write \\%")


# -- YAML --------------------------------------------------------------------------------------------------------------


def _yaml(path: Path, text: str) -> Iterator[str]:
    document = yamldoc.parse(text, path)
    data = document.data
    if not isinstance(data, dict):
        found: Iterable[Mistake] = [Mistake(1, "", "is no mapping of keys to values")]
    elif "apiVersion" in data or "kind" in data:
        if data.get("kind") == "Kustomization":
            yield from _kustomized(path)
            return
        found = _kubernetes(document)
    elif "jobs" in data or "on" in data:
        found = _github(document)
    else:
        found = _gitlab(document)
    yield from (f"{path}:{m.line}: {m}" for m in sorted({*document.mistakes, *found}))


def _shape(document: Document, model: type[Conf], data: Any = None) -> list[Mistake]:
    try:
        model.model_validate(document.data if data is None else data)
    except ValidationError as error:
        return yamldoc.explain(error, document, model)
    return []


def _kubernetes(document: Document) -> Iterator[Mistake]:
    kind = document.at("kind")
    if kind != "CronJob":
        if not (isinstance(kind, str) and isinstance(document.at("metadata", "name"), str)):
            yield document.mistake(("kind",), "an object has a kind, and a name in its metadata")
        return
    yield from _shape(document, shapes.CronJob)
    for loc, fits, what in CRONJOB_RULES:
        value = document.at(*loc)
        try:
            good = fits(value)
        except TypeError:  # its shape is wrong, which is told above
            continue
        if not good:
            yield document.mistake(loc, what)


def _kustomized(path: Path) -> Iterator[str]:
    """What kubectl says when it puts the folder's files together, where it is there."""
    if path.name not in ("kustomization.yaml", "kustomization.yml"):
        yield f"{path}:1: a Kustomization is looked for in kustomization.yaml"
    elif shutil.which("kubectl"):
        done = run(["kubectl", "kustomize", str(path.parent)], check=False)
        if not done.ok:
            yield f"{path}:1: kubectl kustomize: {done.stderr.strip()[-500:]}"


def _github(document: Document) -> Iterator[Mistake]:
    yield from _shape(document, shapes.Workflow)
    if document.at("concurrency") is None:
        yield document.mistake(("concurrency",), "is missing: a long run and the next would overlap")
    elif document.at("concurrency", "cancel-in-progress") not in (None, False):
        where = ("concurrency", "cancel-in-progress")
        yield document.mistake(where, "is to be false: a run that is cut off leaves faults to be undone")
    for name, job in (document.at("jobs") or {}).items() if isinstance(document.at("jobs"), dict) else ():
        if isinstance(job, dict) and job.get("timeout-minutes") is None:
            yield document.mistake(("jobs", name), "has no timeout-minutes")


def _gitlab(document: Document) -> Iterator[Mistake]:
    jobs = {k: v for k, v in document.data.items() if k not in GITLAB_GLOBAL and not k.startswith(".")}
    if not jobs:
        yield Mistake(1, "", "is neither an object of Kubernetes nor a workflow, and has no job")
    for name, job in jobs.items():
        if not isinstance(job, dict):
            yield document.mistake((name,), "is no job of a pipeline")
            continue
        nested = Document(document.path, job, {loc[1:]: n for loc, n in document.lines.items() if loc[:1] == (name,)})
        yield from (Mistake(m.line, f"{name}.{m.where}", m.what) for m in _shape(nested, shapes.GitlabJob))
        if not job.get("resource_group"):
            yield document.mistake((name,), "has no resource_group: a long run and the next would overlap")
        if not any("schedule" in str(rule.get("if")) for rule in job.get("rules") or () if isinstance(rule, dict)):
            yield document.mistake((name,), 'has no rule for $CI_PIPELINE_SOURCE == "schedule"')
