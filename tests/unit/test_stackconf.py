"""Reading the site.yaml of a site made of stacks: every mistake is named where it stands, with what is allowed."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from islanding import stackconf, stackrules, yamldoc
from islanding.errors import SetupError
from islanding.paths import content_dir
from islanding.siteconf import SiteConf
from islanding.stackconf import StacksConf

CLOSED = content_dir("fixtures") / "closed-vpc"
Mistakes = Callable[..., list[str]]


@pytest.fixture
def mistakes(tmp_path: Path) -> Mistakes:
    """The mistakes that are found after replacing text in closed-vpc's site.yaml, without the path."""
    for file in CLOSED.iterdir():
        shutil.copy(file, tmp_path)
    path = tmp_path / "site.yaml"

    def found(*changes: tuple[str, str]) -> list[str]:
        text = (CLOSED / "site.yaml").read_text()
        for old, new in changes:
            assert old in text
            text = text.replace(old, new, 1)
        path.write_text(text)
        with pytest.raises(SetupError) as caught:
            stackconf.load(path)
        return [line.strip().removeprefix(f"{path}:") for line in str(caught.value).splitlines()[1:]]

    return found


def line(text: str) -> int:
    """The line of closed-vpc's site.yaml that holds `text`."""
    return next(n for n, row in enumerate((CLOSED / "site.yaml").read_text().splitlines(), 1) if text in row)


def test_closed_vpc_is_of_this_kind() -> None:
    """The reference site is read, with its stacks in their order and the cluster between them."""
    conf = stackconf.load(CLOSED / "site.yaml")

    assert isinstance(conf, StacksConf)
    assert [stack.name for stack in conf.stacks] == ["infrastructure", "control-plane", "workers"]
    assert conf.cluster.after == "control-plane"


@pytest.mark.parametrize("name", ["outpost-local", "outpost-extended"])
def test_outposts_stay_of_their_kind(name: str) -> None:
    """A file without a kind is an Outpost's, as before."""
    assert isinstance(stackconf.load(content_dir("fixtures") / name / "site.yaml"), SiteConf)


def test_unknown_kind(mistakes: Mistakes) -> None:
    """A misspelt kind is named with what is allowed, and nothing else is complained of."""
    assert mistakes(("kind: stacks", "kind: stakcs")) == [
        f"{line('kind:')}: kind: 'stakcs' is not allowed; allowed: stacks, or no kind for an Outpost"
    ]


def test_several_mistakes_at_once(mistakes: Mistakes) -> None:
    """All mistakes are told, in the order of their lines."""
    keys = "Allowed: workstation, images, node_grace, eviction, manners"
    found = mistakes(
        ("name: closed-vpc", "name: Closed"), ("replicas: 3", "replicas: 0"), ("node_grace: 16", "node_grase: 16")
    )

    assert [
        f"{line('name: closed-vpc')}: name: 'Closed' is not a name of up to 40 lower-case letters, digits and hyphens",
        f"{line('replicas: 3')}: workload.replicas: 0 is out of range; it must be at least 1",
        f"{line('node_grace')}: lab.node_grase: unknown key; did you mean 'node_grace'? {keys}",
    ] == found


@pytest.mark.parametrize(
    ("old", "new", "where", "what"),
    [
        (
            "VpcId: ${infrastructure.VpcId}",
            "VpcId: ${infrastructure.VpcIdd}",
            "stacks[1].parameters.VpcId",
            "${infrastructure.VpcIdd}: stack infrastructure has no such output; did you mean VpcId?",
        ),
        (
            "VpcId: ${infrastructure.VpcId}",
            "VpcId: ${network.VpcId}",
            "stacks[1].parameters.VpcId",
            "${network.VpcId}: there is no stack network; there are infrastructure, control-plane, workers, workst",
        ),
        (
            "VpcId: ${infrastructure.VpcId}",
            "VpcId: ${workers.NodeGroupId}",
            "stacks[1].parameters.VpcId",
            "${workers.NodeGroupId}: stack workers is made later",
        ),
        (
            "role: ${infrastructure.ClusterRoleArn}",
            "role: ${workers.NodeGroupId}",
            "cluster.role",
            "${workers.NodeGroupId}: stack workers is made later",
        ),
        (
            "- role: ${infrastructure.NodeRoleArn}",
            "- role: ${workers.NodeGroupId}",
            "mappings[0].role",
            "${workers.NodeGroupId}: stack workers is made later",
        ),
        (
            "ClusterName: ${cluster.name}",
            "ClusterName: ${cluster.endpoint}",
            "stacks[1].parameters.ClusterName",
            "${cluster.endpoint} is not known before the cluster is made, after stack control-plane",
        ),
        (
            "role: ${infrastructure.ClusterRoleArn}",
            "role: ${cluster.endpoint}",
            "cluster.role",
            "${cluster.endpoint} is not known before the cluster is made, after stack control-plane",
        ),
        (
            "KeyName: ${key.name}",
            "KeyName: ${key.pair}",
            "stacks[0].parameters.KeyName",
            "${key.pair}: key has name",
        ),
        (
            "KeyName: ${key.name}",
            "KeyName: ${key}",
            "stacks[0].parameters.KeyName",
            "'${key}': a reference is ${STACK.Output}",
        ),
        (
            "KeyName: ${key.name}",
            "KeyNane: ${key.name}",
            "stacks[0].parameters.KeyNane",
            "1-infrastructure.yaml has no such parameter; did you mean KeyName?",
        ),
        (
            "      KeyName: ${key.name}\n",
            "",
            "stacks[0].parameters",
            "KeyName is missing: 1-infrastructure.yaml has no default for it",
        ),
        (
            "WorkstationAddress: ${workstation.address}",
            "WorkstationAddress: home",
            "stacks[0].parameters.WorkstationAddress",
            "'home' does not match ",
        ),
        (
            "KeyName: ${key.name}\n      ImageId: ${image.worker}",
            "KeyName: ${key.name}\n      ImageId: ${image.worker}\n      JoinBy: magic",
            "stacks[2].parameters.JoinBy",
            "'magic' is not allowed; allowed: bootstrap.sh, NodeConfig",
        ),
        (
            "template: 2-control-plane.yaml",
            "template: two.yaml",
            "stacks[1].template",
            "no file 'two.yaml' beside site.yaml; there are: 1-infrastructure.yaml, 2-control-plane.yaml, 3-workers.",
        ),
        (
            "template: 2-control-plane.yaml",
            "template: ../two.yaml",
            "stacks[1].template",
            "'../two.yaml' must name a file beside site.yaml",
        ),
        ("name: workers", "name: infrastructure", "stacks[2].name", "'infrastructure' is taken (line 12)"),
        ("name: workers", "name: cluster", "stacks[2].name", "'cluster' is kept for what is no stack"),
        (
            "after: control-plane",
            "after: controlplane",
            "cluster.after",
            "'controlplane' is no stack of this site; there are: infrastructure, control-plane, workers",
        ),
        ("manifest: workload.yaml", "manifest: web.yaml", "workload.manifest", "no file 'web.yaml' beside site.yaml"),
        (
            "service_cidr: 172.20.0.0/16",
            "service_cidr: 172.20.0.0/28",
            "cluster.service_cidr",
            "172.20.0.0/28: the prefix length must be from /12 to /24",
        ),
        (
            "service_cidr: 172.20.0.0/16",
            "service_cidr: 100.64.0.0/16",
            "cluster.service_cidr",
            "100.64.0.0/16 must lie in one of 10.0.0.0/8, 172.16.0.0/12, 192.168.0.0/16",
        ),
    ],
)
def test_each_mistake_is_named(mistakes: Mistakes, old: str, new: str, where: str, what: str) -> None:
    """A reference, parameter, file or name that cannot be is named with what can."""
    found = [text.split(": ", 1)[1] for text in mistakes((old, new))]

    assert [text for text in found if text.startswith(f"{where}: {what}")], found


def test_template_that_is_none(mistakes: Mistakes, tmp_path: Path) -> None:
    """A template with an indentation that went wrong is named by its own line."""
    (tmp_path / "2-control-plane.yaml").write_text("Resources:\n  A: 1\n B: 2\n")

    assert any("2-control-plane.yaml:3: not valid YAML" in text for text in mistakes(("replicas: 3", "replicas: 2")))


def test_rules_read_anything() -> None:
    """Rules don't stumble over a document whose parts have other types than they should."""
    for text in ("stacks: 3\ncluster: []", "stacks: [1, {name: [a]}, {template: {}}]", "workload: {manifest: 7}"):
        document = yamldoc.parse(f"kind: stacks\n{text}\n", CLOSED / "site.yaml")
        assert isinstance(stackrules.mistakes(document), list)


def test_resolved_names_what_is_not_known() -> None:
    """A reference is replaced by what is known; one that is not names what is."""
    known = {"key": {"name": "mine"}}

    assert stackconf.resolved("a ${key.name}", known) == "a mine"
    with pytest.raises(SetupError, match=r"nothing is known of \$\{key.pair\}\n  known there: name"):
        stackconf.resolved("${key.pair}", known)
