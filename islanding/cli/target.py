"""The `target` commands, and `sweep`: a site on a real AWS account, checked, adopted, provisioned, deleted."""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import click

from islanding import accountconf
from islanding.aws import calls
from islanding.aws.provision import told
from islanding.errors import ExitCode, SetupError
from islanding.lab import parts
from islanding.model import AwsAccess
from islanding.target import access as accesses
from islanding.target import adopt, sweep
from islanding.target.needs import cases_for
from islanding.target.provisioning import RECORD, Order, Provisioning, new_order, ordered

FILE = click.Path(path_type=Path, dir_okay=False)


class Age(click.ParamType[timedelta]):
    """A span of time such as 90m, 12h or 7d."""

    name = "age"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> timedelta:
        found = re.fullmatch(r"(\d+)([mhd])", str(value))
        if found is None:
            self.fail(f"{value!r} is no age such as 90m, 12h or 7d", param, ctx)
        return timedelta(**{{"m": "minutes", "h": "hours", "d": "days"}[found[2]]: int(found[1])})


@click.group("target")
def target_group() -> None:
    """A site on a real AWS account, as its file describes it: see docs/real-account.md.

    \b
    Examples:
      islanding target check my-site.yaml      what AWS's API says of it; nothing is entered or written
      islanding target adopt my-site.yaml      that, the way in and the cluster; writes its site.json
      islanding run --target aws --site my-site.yaml
      islanding target provision closed-vpc --name mine --account 123456789012 --region ap-northeast-1 ...
      islanding target delete mine
    """


@target_group.command("check")
@click.argument("file", type=FILE)
def check_command(file: Path) -> None:
    """Read FILE, ask AWS's API about the site, and show what is known of it and what is not."""
    conf = accountconf.load(file)
    with TemporaryDirectory(prefix="islanding-") as folder:
        checked = adopt.check(conf, Path(folder))
    width = max(map(len, accountconf.FACTS))
    for name, value in sorted(checked.found.facts.items()):
        click.echo(f"{name:<{width}}  {value}")
    for gap in checked.state.gaps:
        click.echo(f"refused: {gap}")
    say_lacking(conf.like, {k: v for k, v in checked.found.lacking.items() if k not in adopt.BY_ENTERING})


@target_group.command("adopt")
@click.argument("file", type=FILE)
def adopt_command(file: Path) -> None:
    """Find out all that there is to know of the site that FILE describes, and write its site.json."""
    conf = accountconf.load(file)
    site = adopt.adopt(conf, click.echo)
    say_lacking(conf.like, site.lacking)
    click.echo(str(adopt.folder_of(conf.name) / "site.json"))


def say_lacking(like: str, lacking: dict[str, str]) -> None:
    """Name what is not known, why, and the cases that are not covered for it."""
    for name, reason in sorted(lacking.items()):
        click.echo(f"not known: {name}: {reason}")
        for case in cases_for(like, name):
            click.echo(f"  not covered: {case}")


@target_group.command("provision")
@click.argument("like", metavar="REFERENCE")
@click.option("--name", required=True, help="The site's name: of its stacks, and the value of its tag.")
@click.option("--account", required=True, help="The account; other credentials are refused.")
@click.option("--region", required=True)
@click.option("--workstation", required=True, metavar="ADDRESS", help="The one address that the bastion lets in.")
@click.option("--key-name", required=True, help="A key pair of the account.")
@click.option("--key", required=True, type=FILE, help="The file of its private half; used by ssh, never copied.")
@click.option("--operator-image", required=True, metavar="AMI", help="With kubectl, the AWS CLI and skopeo.")
@click.option("--worker-image", required=True, metavar="AMI", help="An EKS image of the cluster's version.")
@click.option("--profile", default="", help="A profile of the AWS configuration. Default: the usual chain.")
@click.option("--image", "archive", type=FILE, help="OCI archive of the workload. Default: the one of `setup`.")
@click.option(
    "--parameter",
    "parameters",
    multiple=True,
    metavar="KEY=VALUE",
    help="STACK.PARAMETER of a template, or a dotted key of site.yaml such as cluster.name; repeatable.",
)
def provision_command(parameters: tuple[str, ...], archive: Path | None, **asked: Any) -> None:
    """Make the site REFERENCE in an account by its templates, and adopt it. It costs money until it is deleted."""
    wrong = [one for one in parameters if "=" not in one]
    if wrong:
        raise SetupError(f"--parameter {wrong[0]}: this is no KEY=VALUE")
    order = new_order(parameters=dict(one.split("=", 1) for one in parameters), **{**asked, "key": str(asked["key"])})
    try:
        with told("making the site", _access(order)):
            site = _provisioning(order).provision(archive or parts.find().workload)
    except BaseException:
        if (order.folder / RECORD).exists():
            click.echo(f"what was begun is still there: islanding target delete {order.name}", err=True)
        raise
    say_lacking(order.like, site.lacking)
    click.echo(str(order.folder / "site.yaml"))


@target_group.command("delete")
@click.argument("name")
def delete_command(name: str) -> None:
    """Delete the provisioned site NAME: its stacks, its cluster, what is in its bucket, and its record."""
    order = ordered(name)
    with told("deleting the site", _access(order)):
        _provisioning(order).delete()


def _access(order: Order) -> AwsAccess:
    return accesses.plain(order.account, order.region, order.profile)


def _provisioning(order: Order) -> Provisioning:
    access = _access(order)
    return Provisioning(order, access, lambda service: calls.client(access, service), click.echo)


@click.command("sweep")
@click.option("--site", default="", help="Only what was provisioned for the site of this name.")
@click.option("--older-than", "age", type=Age(), metavar="AGE", help="Only what is older: 90m, 12h, 7d.")
@click.option("--region", required=True, envvar=("AWS_REGION", "AWS_DEFAULT_REGION"))
@click.option("--profile", default="", help="A profile of the AWS configuration. Default: the usual chain.")
@click.option("--dry-run", is_flag=True, help="Say what would be deleted, in its order, and delete nothing.")
def sweep_command(site: str, age: timedelta | None, region: str, profile: str, dry_run: bool) -> ExitCode:
    """Delete what was provisioned and left behind, by its tags. Exit code 1 when something could not be deleted."""
    access = accesses.plain("", region, profile)

    def client(service: str) -> Any:
        return calls.client(access, service)

    with told("sweeping up", access):
        found = sweep.find(client, site, age)
        for one in found:
            click.echo(f"{'would delete' if dry_run else 'to delete'}: {one}")
        if not found:
            click.echo("Nothing to sweep.")
        left = [] if dry_run else sweep.sweep(client, found, click.echo)
    for text in left:
        click.echo(f"not deleted: {text}", err=True)
    return ExitCode.FAILED if left else ExitCode.OK
