"""What the tests share: closed-vpc made by its stacks in a Region of its own, and the file of whoever adopts it."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from islanding import accountconf, stackconf, yamldoc
from islanding.accountconf import AccountConf
from islanding.aws.provision import Provisioned, Provisioner
from islanding.lab.region.server import Region
from islanding.paths import content_dir
from islanding.stackconf import StacksConf
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

    def __init__(self, region: Region, folder: Path, tags: dict[str, str] | None = None) -> None:
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
        self.provisioner = Provisioner(conf, CLOSED, self.client, around, self._step, poll=POLL, tags=tags or {})
        self.site: Provisioned = self.provisioner.provision(lambda *_: True)
        (folder / "key").write_text("")

    def _step(self, what: str) -> None:
        if what.endswith(": CREATING"):
            self.region.eks.activate(self.conf.cluster.name, "https://endpoint", b"CA")

    def text(self, more: str = "", **changed: str) -> str:
        """A minimal file of it, as its owner would write one."""
        values = {
            "account": self.region.account,
            "region": REGION,
            "bastion": self.site.facts["bastion_public_ip"],
            "key": str(self.folder / "key"),
        }
        return FILE.format(**{**values, **changed}) + more

    def file(self, more: str = "", **changed: str) -> AccountConf:
        """The same, read."""
        return accountconf.check(yamldoc.parse(self.text(more, **changed), self.folder / "mine.yaml"))


@pytest.fixture(scope="session")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Made]:
    """The site, made once: nobody changes it."""
    folder = tmp_path_factory.mktemp("target")
    for region in fresh_region(folder):
        yield Made(region, folder)


@pytest.fixture
def short() -> Iterator[str]:
    """A state folder with a short path: SSH's sockets are in it."""
    with tempfile.TemporaryDirectory() as folder:
        yield folder
