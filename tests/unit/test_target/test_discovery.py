"""Adopting an existing site: what its file and AWS's API say is what the stacks that made it say."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from islanding import accountconf, stackconf, yamldoc
from islanding.accountconf import FACTS, OPTIONAL, AccountConf
from islanding.aws.provision import Provisioned, Provisioner
from islanding.lab.region.server import Region
from islanding.paths import content_dir
from islanding.stackconf import StacksConf
from islanding.target import discovery, state
from tests.unit.region_support import REGION, connect, fresh_region

CLOSED = content_dir("fixtures") / "closed-vpc"
POLL = 0.02
FILE = """\
name: mine
account: "{account}"
region: {region}
cluster: closed-1
reach: {{kind: ssh, bastion: {bastion}, key: {key}}}
"""
Client = Callable[[str], Any]


class Made:
    """closed-vpc made by its stacks in a Region of its own, and the clients of whoever adopts it."""

    def __init__(self, region: Region, folder: Path) -> None:
        self.region = region
        self.folder = folder
        self.client: Client = cache(lambda service: connect(region, service))
        conf = stackconf.load(CLOSED / "site.yaml")
        assert isinstance(conf, StacksConf)
        self.conf = conf
        self.client("ec2").create_key_pair(KeyName="mine")
        images = conf.lab.images
        around = {
            "workstation": {"address": "203.0.113.77"},
            "key": {"name": "mine"},
            "image": {"operator": images.operator, "worker": images.worker},
        }
        self.provisioner = Provisioner(conf, CLOSED, self.client, around, self._step, poll=POLL)
        self.site: Provisioned = self.provisioner.provision(lambda *_: True)
        (folder / "key").write_text("")

    def _step(self, what: str) -> None:
        if what.endswith(": CREATING"):
            self.region.eks.activate(self.conf.cluster.name, "https://endpoint", b"CA")

    def file(self, more: str = "", **changed: str) -> AccountConf:
        """A minimal file of it, as its owner would write one."""
        values = {
            "account": self.region.account,
            "region": REGION,
            "bastion": self.site.facts["bastion_public_ip"],
            "key": str(self.folder / "key"),
        }
        return accountconf.check(yamldoc.parse(FILE.format(**{**values, **changed}) + more, self.folder / "mine.yaml"))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The site."""
    folder = tmp_path_factory.mktemp("target")
    for region in fresh_region(folder):
        yield Made(region, folder)


def discovered(made: Made, conf: AccountConf, **known: str) -> discovery.Discovered:
    """What is found out of the site by a file."""
    return discovery.discover(conf, state.read(conf, made.client), image=known.get("image", ""))


def test_all_that_the_stacks_know_is_found(made: Made) -> None:
    """Account, Region, cluster and bastion are enough: every fact is the one that the stacks' outputs give."""
    image = made.site.resolved(made.conf.workload.image)
    found = discovered(made, made.file(), image=image)

    assert found.facts == made.site.facts
    assert set(found.lacking) == set(FACTS) - set(made.site.facts) - OPTIONAL
