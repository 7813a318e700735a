"""`islanding fault plan` shows what a fault would do, and its inverse; `islanding confirm` is the second person's."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import click
import yaml

from islanding.errors import ExitCode, SetupError


@click.group(short_help="Show what a fault would do, and do nothing.")
def fault_group() -> None:
    """Show what a fault would do, and do nothing."""


@fault_group.command("plan")
@click.argument("kind")
@click.option("--site", "site_name", help="Name, id or site.json of the running site; default: the only running lab.")
@click.option("--with", "given", multiple=True, metavar="NAME=VALUE", help="A parameter of the fault; repeatable.")
def plan_command(kind: str, site_name: str | None, given: tuple[str, ...]) -> ExitCode:
    """Print the calls of the fault KIND, their inverse, what they touch and what the guardrails say; change nothing.

    \b
    Examples:
      islanding fault plan endpoint-removed --with service=s3
      islanding fault plan nodes-cut-off --site outpost-local --with share=0.5

    \b
    Exit codes: 0 it may be applied, 3 a guardrail refuses it.
    """
    from islanding import sites
    from islanding.faults import make
    from islanding.faults.showing import lines, verdict
    from islanding.kube.current import refreshed

    fault = make(kind, **dict(map(_parameter, given)))
    site = sites.load(sites.find(site_name))
    if site.identities:  # by whom the cluster is asked which nodes it has now
        site = refreshed(site)
    plan = fault.plan(site)
    for line in lines(plan):
        click.echo(line)
    said, passes = verdict(site, plan)
    for line in said:
        click.echo(line)
    return ExitCode.OK if passes else ExitCode.SETUP


@click.command("confirm")
@click.argument("site_id")
@click.option("--fault", "kinds", multiple=True, required=True, metavar="KIND", help="A fault to confirm; repeatable.")
@click.option("--minutes", type=click.FloatRange(0, min_open=True), default=60.0, show_default=True, help="How long.")
@click.option("--key", type=click.Path(path_type=Path), required=True, help="Your Ed25519 key, as ssh-keygen made it.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Where the confirmation is written.")
def confirm_command(site_id: str, kinds: tuple[str, ...], minutes: float, key: Path, out: Path) -> None:
    """Confirm faults on the production site SITE_ID for somebody else, by your own key.

    \b
    Example:
      islanding confirm 123456789012/shop --fault endpoint-removed --minutes 30 --key KEY-FILE --out shop.confirmation

    Who runs the fault puts the file below the state folder (confirmations/SITE_ID), or its path into
    ISLANDING_CONFIRMATION. Its content is worth a signature: hand it over as you would a key.
    """
    from islanding.faults import names
    from islanding.faults._foreign import ForeignAction
    from islanding.guard import confirmation

    known = [*names(), ForeignAction.kind]
    unknown = sorted(set(kinds) - set(known))
    if unknown:
        raise SetupError(f"there is no fault {', '.join(unknown)}", f"faults: {', '.join(known)}")
    password = click.prompt("Passphrase of the key", hide_input=True, default="", show_default=False, err=True)
    content = confirmation.make(site_id, kinds, datetime.now(UTC), minutes * 60, key, password)
    confirmation.write(out, content)
    click.echo(f"{out} confirms {', '.join(kinds)} on {site_id} for {minutes:g} minutes")


def _parameter(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise SetupError(f"{text!r} is no parameter", "write NAME=VALUE, for example --with service=s3")
    try:
        return name, yaml.safe_load(value)
    except yaml.YAMLError as error:
        raise SetupError(f"the value of {name} cannot be read: {value!r}") from error
