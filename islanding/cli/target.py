"""The `target` commands: a site on a real AWS account, checked and adopted."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

import click

from islanding import accountconf
from islanding.target import adopt
from islanding.target.needs import cases_for

FILE = click.Path(path_type=Path, dir_okay=False)


@click.group("target")
def target_group() -> None:
    """A site on a real AWS account, as its file describes it: see docs/real-account.md.

    \b
    Examples:
      islanding target check my-site.yaml      what AWS's API says of it; nothing is entered or written
      islanding target adopt my-site.yaml      that, the way in and the cluster; writes its site.json
      islanding run --target aws --site my-site.yaml
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
