"""The `lab` commands: bring a site up, look round in it, take it down."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import signal
import subprocess
import time
from pathlib import Path

import click
from click.shell_completion import CompletionItem
from rich.console import Console
from rich.table import Table

from islanding import manners, siteconf
from islanding.errors import LabError
from islanding.journal import Event
from islanding.lab import cgroups, launch, registry
from islanding.model import Site
from islanding.probes.of_site import SiteProbes
from islanding.sampling import observe


class SiteName(click.ParamType[str]):
    """The name of a reference site."""

    name = "site"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        return [CompletionItem(n) for n in siteconf.names() if n.startswith(incomplete)]


class PlaceName(click.ParamType[str]):
    """The name of a desk, router or machine of a running lab."""

    name = "place"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        ready = [lab for lab in registry.all_labs() if lab.ready]
        names = {p.name for lab in ready for p in Site.load(lab.site_file).places}
        return [CompletionItem(n) for n in sorted(names) if n.startswith(incomplete)]


@click.group("lab")
def lab_group() -> None:
    """Bring a site up in the lab, look round in it, take it down.

    \b
    Examples:
      islanding lab up outpost-local
      islanding lab up closed-vpc --manners iam,consistency=2s,throttling,pages=5,failures=0.02
      islanding lab shell operator                 a shell with kubectl, aws and ssh
      islanding lab shell worker-1                 a shell on the machine
      islanding lab kubectl get nodes
      islanding lab logs worker-1 -- -u kubelet
      islanding lab capture cnd --interface sl --seconds 10
      islanding lab down
    """


_LAB = click.option("--lab", "lab_name", default=None, help="Site name or id of the lab, when several are up.")


@lab_group.command("up")
@click.argument("site", type=SiteName())
@click.option(
    "--manners",
    default="",
    metavar="NAME[=VALUE],...",
    help=f"Let the lab's AWS treat callers as a real account is treated: all, or some of "
    f"{', '.join(siteconf.MANNERS)}; also by {manners.ENV}.",
)
def up_command(site: str, **given: str) -> None:
    """Bring SITE up and leave it running."""
    console = Console(stderr=True)
    begun = time.monotonic()

    def show(event: Event) -> None:
        if event.type == "site-step":
            console.print(f"  {event['since_start']:6.1f} s  {event['step']}", highlight=False)

    console.print(f"bringing up {site}", highlight=False)
    lab = launch.up(site, on_event=show, manners=given["manners"])
    console.print(f"{lab.site} is ready after {time.monotonic() - begun:.1f} s as lab {lab.id}", highlight=False)
    console.print("look round:  islanding lab shell operator\nend it:      islanding lab down", highlight=False)


@lab_group.command("down")
@click.argument("lab_name", metavar="[LAB]", required=False)
@click.option("--all", "every", is_flag=True, help="Take down every lab.")
def down_command(lab_name: str | None, every: bool) -> None:
    """Take a lab down; nothing of it stays but its logs.

    What faults are left is undone first.
    """
    from islanding.faults.heal import heal

    registry.sweep()
    labs = [lab for lab in registry.all_labs() if lab.alive] if every else [registry.find(lab_name)]
    for lab in labs:
        begun = time.monotonic()
        heal(lab.id)
        launch.down(lab)
        click.echo(f"{lab.site} ({lab.id}) is down after {time.monotonic() - begun:.1f} s")
    swept = registry.sweep()
    if swept:
        click.echo(f"swept up after dead labs: {', '.join(swept)}")


@lab_group.command("status")
@click.option("--json", "as_json", is_flag=True, help="For a program.")
def status_command(as_json: bool) -> None:
    """Say which labs there are, and what is in them.

    What dead ones left is swept up first.
    """
    if os.geteuid() == 0:
        registry.sweep()
    labs = registry.all_labs()
    if as_json:
        click.echo(json.dumps([_status(lab) for lab in labs], indent=1))
        return
    if not labs:
        click.echo("no lab is up")
        return
    console = Console()
    for lab in labs:
        _print_status(console, _status(lab))


def _status(lab: registry.Lab) -> dict[str, object]:
    state = "ready" if lab.ready else "starting" if lab.alive else "dead: `islanding lab down --all` sweeps it up"
    known: dict[str, object] = {"id": lab.id, "site": lab.site, "state": state, "folder": str(lab.folder)}
    if lab.ready:
        site = Site.load(lab.site_file)
        known["memory_mib"] = cgroups.rss_bytes(lab.id) >> 20
        known["places"] = {p.name: {"role": p.role, "address": p.address} for p in site.places}
        known["endpoint"] = site.cluster.endpoint
        probes = SiteProbes(site)
        known["sessions"] = {s.name: observe(site, probes.bgp(s.name)).text for s in site.sessions}
    return known


def _print_status(console: Console, status: dict[str, object]) -> None:
    table = Table(title=f"{status['site']} ({status['id']}): {status['state']}", title_justify="left", box=None)
    places = status.get("places")
    if isinstance(places, dict):
        for column in ("place", "role", "address"):
            table.add_column(column)
        for name, place in places.items():
            table.add_row(name, place["role"], place["address"])
    console.print(table)
    sessions = status.get("sessions")
    if isinstance(sessions, dict):
        for name, state in sessions.items():
            console.print(f" BGP {name}: {state}", highlight=False)
        console.print(f" API at {status['endpoint']}, {status['memory_mib']} MiB\n", highlight=False, soft_wrap=True)


def _site(lab_name: str | None) -> tuple[registry.Lab, Site]:
    lab = registry.find(lab_name)
    if not lab.ready:
        raise LabError(f"lab {lab.id} ({lab.site}) is still coming up", "wait for `islanding lab up` to end")
    return lab, Site.load(lab.site_file)


def _place(site: Site, name: str) -> list[str]:
    try:
        return site.place(name).argv([])
    except KeyError as unknown:
        raise LabError(str(unknown.args[0])) from None


@lab_group.command("shell", context_settings={"ignore_unknown_options": True})
@_LAB
@click.argument("place", type=PlaceName())
@click.argument("command", nargs=-1, type=click.UNPROCESSED)
def shell_command(lab_name: str | None, place: str, command: tuple[str, ...]) -> None:
    """Open a shell at PLACE, or run COMMAND there.

    PLACE is a desk, a router or a machine: `islanding lab status` names them.
    """
    _, site = _site(lab_name)
    _place(site, place)
    there = site.place(place)
    if there.by_ssh:  # a terminal, and a login shell of root's
        argv = there.argv(command or ("bash", "-l"))
        if not command:
            argv.insert(argv.index("ssh") + 1, "-t")
    else:
        prompt = {"PS1": f"[{place}@{site.name}] \\$ "}
        argv = there.argv(command or ("bash", "--norc"), env=prompt)
    home = there.env.get("HOME")
    if home:
        os.chdir(home)
    os.execvp(argv[0], argv)


@lab_group.command("kubectl", context_settings={"ignore_unknown_options": True, "help_option_names": []})
@_LAB
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def kubectl_command(lab_name: str | None, arguments: tuple[str, ...]) -> None:
    """Run kubectl as the operator, from the operator's desk."""
    _, site = _site(lab_name)
    argv = site.place("operator").argv(["kubectl", *arguments])
    os.execvp(argv[0], argv)


@lab_group.command("logs", context_settings={"ignore_unknown_options": True})
@_LAB
@click.option("--follow", "-f", is_flag=True, help="Go on printing.")
@click.argument("part", required=False)
@click.argument("arguments", nargs=-1, type=click.UNPROCESSED)
def logs_command(lab_name: str | None, follow: bool, part: str | None, arguments: tuple[str, ...]) -> None:
    """Print the log of PART; without PART, list the parts.

    A part is a machine (its journal), a router, a resolver, the supervisor.
    Arguments after `--` go to journalctl, for example `-u kubelet`.
    """
    lab, site = _site(lab_name)
    folder = lab.folder / "logs"
    parts_of = sorted({p.name.split(".")[0] if p.suffix == ".journal" else p.name for p in folder.iterdir()})
    if part is None:
        click.echo("\n".join(parts_of))
        return
    if (folder / f"{part}.journal").is_dir():
        journal = ["journalctl", "--no-pager", "-D", str(folder / f"{part}.journal")]
        argv = [*journal, *(["-f"] if follow else []), *arguments]
        if shutil.which("journalctl") is None:  # no systemd here: the machine's own
            argv = site.place(part).argv(["journalctl", "--no-pager", *(["-f"] if follow else []), *arguments])
    elif (folder / part).is_file():
        argv = ["tail", "-n", "+1", *(["-f"] if follow else []), str(folder / part)]
    else:
        raise LabError(f"no part {part!r} has a log; there are: {', '.join(parts_of)}")
    os.execvp(argv[0], argv)


@lab_group.command("capture")
@_LAB
@click.option("--interface", "-i", default="any", show_default=True, help="Interface to listen on.")
@click.option("--seconds", type=float, default=None, help="End by itself after so long; else at Ctrl-C.")
@click.option("--output", "-o", type=click.Path(path_type=Path), default=None, help="File; default PLACE.pcap here.")
@click.argument("place", type=PlaceName())
@click.argument("expression", nargs=-1)
def capture_command(
    lab_name: str | None,
    interface: str,
    seconds: float | None,
    output: Path | None,
    place: str,
    expression: tuple[str, ...],
) -> None:
    """Capture packets at PLACE into a pcap file.

    PLACE is a desk or a router; EXPRESSION is a filter as for tcpdump.
    """
    lab, _ = _site(lab_name)
    target = (output or Path(f"{place}.pcap")).absolute()
    netns = f"/proc/{lab.pid}/root/run/netns/{place}"
    if not Path(netns).exists():
        known = sorted(p.name for p in Path(f"/proc/{lab.pid}/root/run/netns").iterdir())
        raise LabError(f"no place {place!r} has a network of its own; there are: {', '.join(known)}")
    command = ["nsenter", f"--net={netns}", "tcpdump", "-n", "-U", "-Z", "root", "-i", interface, "-w", str(target)]
    capture = subprocess.Popen([*command, *expression])
    try:
        capture.wait(timeout=seconds)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        capture.send_signal(signal.SIGINT)
        capture.wait(timeout=10)
    if capture.returncode != 0:
        raise LabError(f"tcpdump ended with exit code {capture.returncode}: {shlex.join(command)}")
    click.echo(f"{target} ({target.stat().st_size} bytes)")


__all__ = ["lab_group"]
