"""`islanding iam-policy`: the least that the harness's credentials must be allowed, and whether a run kept to it."""

from __future__ import annotations

import json
from pathlib import Path

import click

from islanding.errors import ExitCode, SetupError


@click.command("iam-policy")
@click.option("--read-only", is_flag=True, help="Only what a look at a site calls; no fault.")
@click.option("--fault", "kinds", multiple=True, metavar="KIND", help="For this fault; repeatable.")
@click.option("--suite", "suites", multiple=True, metavar="NAME", help="For the cases of this suite; repeatable.")
@click.option(
    "--site", default="", metavar="NAME", help="For adopting a site like this reference site, and all its cases."
)
@click.option("--region", default="", help="Only in this Region.")
@click.option("--check", "record", type=click.Path(path_type=Path), help="Compare with a run's calls.jsonl instead.")
def iam_policy_command(
    *, read_only: bool, kinds: tuple[str, ...], suites: tuple[str, ...], site: str, region: str, record: Path | None
) -> ExitCode:
    """Print the IAM policy (JSON) that faults, suites, or with neither all of both, need.

    \b
    Examples:
      islanding iam-policy --read-only
      islanding iam-policy --fault endpoint-removed --region eu-central-1
      islanding iam-policy --site closed-vpc
      islanding iam-policy --suite image_pull --check runs/TIME/calls.jsonl

    \b
    Exit codes with --check: 0 all that was called is allowed, 1 something is not.
    """
    from islanding.aws import leastprivilege, needs, recording

    wanted = _wanted(kinds, suites, site, read_only=read_only)
    if record is None:
        click.echo(json.dumps(leastprivilege.policy(wanted, region), indent=2))
        return ExitCode.OK
    called = {f"{service}:{operation}" for service, operation in recording.read(record)}
    found = leastprivilege.compare(wanted, called)
    click.echo(f"called and not allowed: {', '.join(found.lacking) or 'nothing'}")
    rare = {leastprivilege.actions(one)[0]: when for one, when in needs.SOMETIMES.items()}
    idle = [one for one in found.idle if one not in rare]
    click.echo(f"allowed and never called: {', '.join(idle) or 'nothing'}")
    for one in found.idle:
        if one in rare:
            click.echo(f"allowed for when {rare[one]}: {one}")
    return ExitCode.FAILED if found.lacking else ExitCode.OK


def _wanted(kinds: tuple[str, ...], suites: tuple[str, ...], site: str, *, read_only: bool) -> frozenset[str]:
    from islanding import faults
    from islanding.aws import needs

    if read_only and (kinds or suites or site):
        raise SetupError("--read-only is for no fault", "leave it out, or --fault, --suite and --site")
    if site not in ("", *needs.CLOSED, *needs.OUTPOSTS):
        raise SetupError(f"there is no site {site}", f"sites: {', '.join((*needs.CLOSED, *needs.OUTPOSTS))}")
    unknown = sorted(set(kinds) - set(faults.names()))
    if unknown:
        raise SetupError(f"there is no fault {', '.join(unknown)}", f"faults: {', '.join(faults.names())}")
    unknown = sorted(set(suites) - set(needs.SUITES))
    if unknown:
        raise SetupError(f"there is no suite {', '.join(unknown)}", f"suites: {', '.join(needs.SUITES)}")
    if read_only:
        return needs.reading()
    if not (kinds or suites or site):
        kinds, suites = tuple(faults.names()), tuple(needs.SUITES)
    named = [needs.of_suite(name) for name in suites] + ([needs.of_site(site)] if site else [])
    return frozenset().union(needs.of_faults(kinds) if kinds else (), *named)
