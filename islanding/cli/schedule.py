"""`islanding schedule`: writes and checks what starts runs at their times, and says whether one is overdue."""

from __future__ import annotations

import json
import shutil
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import click

from islanding.errors import ExitCode, SetupError
from islanding.schedule import calendar, checking, turns, writing
from islanding.schedule.order import CONFIG, Order
from islanding.schedule.turns import Standing

GRACE = 3600  # seconds
KUBECONFIG = "kubeconfig"


@click.group("schedule")
def schedule_group() -> None:
    """Run on a schedule: write what starts the runs, check it, and learn whether one is overdue.

    \b
    Examples:
      islanding schedule systemd --at 02:17 --out units -- run --target aws --site /etc/islanding/site.yaml
      islanding schedule crontab --every 6h --out . -- run --site outpost-local
      islanding schedule kubernetes --cron '17 2 * * mon-fri' --image REGISTRY/islanding:1 --out base \\
        --config site.yaml -- run --target aws --site /config/site.yaml --store s3://BUCKET/runs
      islanding schedule check units/*
      islanding schedule status nightly
    """


def _writer(kind: str, what: str) -> None:
    """Add the command that writes one kind of file."""

    @schedule_group.command(kind, help=_help(kind, what))
    @click.option("--name", default="nightly", show_default=True, help="What this schedule is called.")
    @click.option("--every", default="", metavar="PERIOD", help="15m, 6h, 1d, 1w: whatever divides an hour or a day.")
    @click.option("--at", default="", metavar="HH:MM", help=f"Time of day in UTC. Default: {calendar.DEFAULT_AT}.")
    @click.option("--on", default="", metavar="DAYS", help="Days of the week, such as mon,thu or mon-fri.")
    @click.option("--cron", default="", metavar="FIELDS", help="Instead of these: the five fields of a crontab.")
    @click.option("--longest", default=6 * 3600, show_default=True, help="Seconds that a run may take.")
    @click.option("--delay", default=300, show_default=True, help="Seconds by which systemd may put a run off.")
    @click.option("--grace", default=GRACE, show_default=True, help="Seconds that a run may begin late (CronJob).")
    @click.option("--program", default="", help="Whole path of `islanding` there. Default: this one's.")
    @click.option(
        "--user", default="", help="As whom systemd runs it. Default: root for a lab, else a user of its own."
    )
    @click.option("--image", default="islanding:latest", show_default=True, help="The container image of islanding.")
    @click.option("--namespace", default="islanding", show_default=True, help="Of the CronJob.")
    @click.option(
        "--config",
        multiple=True,
        type=click.Path(path_type=Path, dir_okay=False),
        help=f"A file for the CronJob's ConfigMap, in the pod below {CONFIG}; repeatable.",
    )
    @click.option(
        "--out", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write the files to."
    )
    @click.argument("arguments", nargs=-1, metavar="-- run ...")
    def command(out: Path, config: tuple[Path, ...], arguments: tuple[str, ...], **given: Any) -> ExitCode:
        when = calendar.chosen(**{key: given.pop(key) for key in ("cron", "every", "at", "on")})
        given["seconds"] = given.pop("longest")
        given["program"] = given["program"] or _program()
        names = tuple(dict.fromkeys([*(path.name for path in config), KUBECONFIG]))
        order = Order(calendar=when, arguments=arguments or ("run",), config_names=names, **given)
        if config and kind != "kubernetes":
            raise SetupError("--config is for a CronJob", f"elsewhere `islanding {arguments[0]}` names its files")
        written = writing.write(kind, order, out, config)
        found = checking.check([path for path in written if path.name not in names])
        if kind == "kubernetes":
            found += [f"{out}: {lack}" for lack in _lacking(order, out)]
        for path in written:
            click.echo(path)
        for finding in found:
            click.echo(f"{finding}", err=True)
        click.echo(f"due next: {when.next(datetime.now(UTC)):%Y-%m-%d %H:%M} UTC", err=True)
        return ExitCode.FAILED if found else ExitCode.OK


def _lacking(order: Order, out: Path) -> list[str]:
    """The files that the run is told to read in its pod, and that the ConfigMap does not have."""
    words = [word for word in order.arguments if word.startswith(f"{CONFIG}/")]
    return [f"{word} is not among --config" for word in words if not (out / word.rsplit("/", 1)[1]).is_file()]


def _help(kind: str, what: str) -> str:
    return (
        f"Write {what}.\n\nWhat is run comes after `--`; without it, `run` alone. The files are checked as\n"
        f"`islanding schedule check` does it.\n\n\b\nExample:\n"
        f"  islanding schedule {kind} --name nightly --at 02:17 --out schedule -- run --target aws --site my-site.yaml"
    )


_WRITTEN = {
    "systemd": "a service and a timer of systemd",
    "crontab": "the lines of a crontab",
    "kubernetes": "a CronJob with what it needs, as a Kustomize base",
    "github": "a workflow of GitHub Actions",
    "gitlab": "a pipeline of GitLab CI",
}
for _kind, _what in _WRITTEN.items():
    _writer(_kind, _what)


def _program() -> str:
    beside = Path(sys.executable).with_name("islanding")
    return str(beside) if beside.exists() else shutil.which("islanding") or "islanding"


@schedule_group.command("check")
@click.argument("files", nargs=-1, required=True, type=click.Path(path_type=Path, dir_okay=False))
def check_command(files: tuple[Path, ...]) -> ExitCode:
    """Check files that start runs: units, a crontab, a CronJob's YAML, workflows and pipelines.

    \b
    Examples:
      islanding schedule check /etc/systemd/system/islanding-nightly.*
      islanding schedule check base/cronjob.yaml base/kustomization.yaml

    Units are given to `systemd-analyze verify` and a Kustomization to `kubectl kustomize`, where these are there.
    Exit code 1 when something is wrong.
    """
    found = checking.check(files)
    for finding in found:
        click.echo(finding)
    if not found:
        click.echo(f"{len(files)} {'file is' if len(files) == 1 else 'files are'} as they must be")
    return ExitCode.FAILED if found else ExitCode.OK


@schedule_group.command("status")
@click.argument("names", nargs=-1, metavar="[NAME]...")
@click.option("--calendar", "text", default="", metavar="FIELDS", help="When it is due. Default: as its last run says.")
@click.option("--grace", default=GRACE, show_default=True, help="Seconds that a run may begin late.")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def status_command(names: tuple[str, ...], text: str, grace: int, as_json: bool) -> ExitCode:
    """Say of each schedule (default: all on record) when it ran last, and whether a run is overdue.

    \b
    Examples:
      islanding schedule status
      islanding schedule status nightly --grace 7200

    Exit code 5 when a run that was due has not begun, 0 otherwise, whatever the last run came to.
    """
    known = turns.turns()
    names = names or tuple(sorted({turn.schedule for turn in known if turn.schedule}))
    now = datetime.now(UTC)
    found = [turns.standing(name, text, timedelta(seconds=grace), now, known) for name in names]
    if as_json:
        click.echo(json.dumps([_as_json(one) for one in found], indent=1))
    else:
        for one in found:
            click.echo(_line(one))
        if not found:
            click.echo("no scheduled run is on record")
    return ExitCode.OVERDUE if any(one.overdue for one in found) else ExitCode.OK


def _line(one: Standing) -> str:
    last = f"{one.last.verdict or 'not ended'} ({one.last.began}, {one.last.run})" if one.last else "never"
    good = one.good.began if one.good else "never"
    state = f"OVERDUE: was due {one.due:%Y-%m-%d %H:%M} UTC" if one.overdue else f"next {one.next:%Y-%m-%d %H:%M} UTC"
    return f"{one.schedule}: {state}; last run: {last}; last good run: {good}"


def _as_json(one: Standing) -> dict[str, object]:
    return {
        "schedule": one.schedule,
        "overdue": one.overdue,
        "due": one.due.isoformat(),
        "next": one.next.isoformat(),
        "last": one.last and {"run": one.last.run, "began": one.last.began, "verdict": one.last.verdict},
        "last_good": one.good.began if one.good else None,
    }
