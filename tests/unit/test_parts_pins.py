"""Pins: what go.mod says, which binaries that makes, and when a key changes."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from islanding.lab import system_images
from islanding.lab.parts import pins
from islanding.lab.parts.recipe import PACKAGES, Recipe

GOMOD = """\
module islanding.lab/x

go 1.26.6

tool example.com/one/cmd/alpha

tool (
	example.com/two/beta/v3 // a comment
	example.com/two/gamma
)

require (
	example.com/two/beta/v3 v3.7.3
	example.com/zeta v1.2.3 // indirect
)

require example.com/one v0.1.0

replace example.com/zeta => example.com/zeta v9.9.9
"""


def test_gomod_is_read_with_blocks_single_lines_and_comments() -> None:
    """Tools and versions are found in blocks and in single lines, without their comments."""
    expected = pins.GoMod(
        go=(1, 26, 6),
        tools=("example.com/one/cmd/alpha", "example.com/two/beta/v3", "example.com/two/gamma"),
        versions={"example.com/two/beta/v3": "v3.7.3", "example.com/zeta": "v1.2.3", "example.com/one": "v0.1.0"},
    )
    assert expected == pins.parse_gomod(GOMOD)


@pytest.mark.parametrize(
    ("package", "expected"),
    [
        ("k8s.io/kubernetes/cmd/kubelet", "kubelet"),
        ("go.etcd.io/etcd/server/v3", "server"),
        ("example.com/tool/v12", "tool"),
        ("example.com/v1", "v1"),
    ],
)
def test_program_is_named_as_go_names_it(package: str, expected: str) -> None:
    """A major version at the end of a package's path is not its program's name."""
    assert expected == pins.program_name(package)


def test_committed_pins_give_the_versions_and_binaries_of_the_lab() -> None:
    """The committed go.mod files pin the versions that the lab was tried with, and every binary that it needs."""
    sets = {part.name: part for part in pins.load()}
    expected = {
        "pause": "1",
        "cni": "1.9.1",
        "etcd": "3.7.3",
        "containerd": "2.4.2",
        "aws-iam-authenticator": "0.6.13",
        "kubernetes": "1.36.3",
        "ecr-credential-provider": "1.37.0",
        "registry": "3.1.2",
        "coredns": "1.15.0",
        "amazon-vpc-cni": "1.23.2",
    }
    assert expected == {name: part.version for name, part in sets.items()}
    wanted = (
        "aws-iam-authenticator aws-k8s-agent aws-vpc-cni aws-vpc-cni-init bridge containerd containerd-shim-runc-v2 "
        "coredns ctr ecr-credential-provider egress-cni-plugin etcd etcdctl grpc-health-probe host-local "
        "kube-apiserver kube-controller-manager kube-proxy kube-scheduler kubectl kubelet loopback pause portmap ptp "
        "registry routed-eni-cni-plugin"
    )
    assert wanted.split() == sorted(name for part in sets.values() for name in part.binaries)


def test_kubernetes_says_its_version() -> None:
    """Both version variables are set by the linker: nodes and clients else say v0.0.0."""
    flags = next(part for part in pins.load() if part.name == "kubernetes").ldflags
    expected = (
        "-s -w -X k8s.io/component-base/version.gitVersion=v1.36.3 -X k8s.io/client-go/pkg/version.gitVersion=v1.36.3"
    )
    assert expected == flags


def test_agent_and_plugin_of_the_vpc_cni_say_the_same_version() -> None:
    """The agent refuses a plugin of another version: both variables are set, to the same value."""
    flags = next(part for part in pins.load() if part.name == "amazon-vpc-cni").ldflags.split()
    values = dict(flag.split("=") for flag in flags if "=" in flag)
    assert {"main.version", "github.com/aws/amazon-vpc-cni-k8s/pkg/version.Version"} <= set(values)
    assert set(values.values()) == {"v1.23.2"}


def test_images_are_tagged_with_the_pinned_versions() -> None:
    """The names that nodes pull say the versions that are in the images."""
    versions = {part.name: part.version for part in pins.load()}
    expected = {
        system_images.VPC_CNI: versions["amazon-vpc-cni"],
        system_images.VPC_CNI_INIT: versions["amazon-vpc-cni"],
        system_images.KUBE_PROXY: versions["kubernetes"],
        system_images.COREDNS: versions["coredns"],
        system_images.PAUSE: versions["pause"],
    }
    assert expected == {name: name.rsplit(":")[1].removeprefix("v") for name in expected}


def test_a_changed_pin_changes_its_own_key_and_the_common_one(tmp_path: Path) -> None:
    """A changed go.sum makes its set anew and leaves the other sets' keys as they were."""
    shutil.copytree(pins.GO_DIR, tmp_path / "go")
    before = pins.load(tmp_path / "go")
    sums = tmp_path / "go/etcd/go.sum"
    sums.write_text(sums.read_text() + "\n")
    after = pins.load(tmp_path / "go")
    changed = [old.name for old, new in zip(before, after, strict=True) if old.key != new.key]
    assert changed == ["etcd"]
    assert pins.parts_key(before) != pins.parts_key(after)


def test_any_change_of_the_recipe_changes_the_images_key() -> None:
    """Another package or another masked unit is another image; the same recipe is the same image."""
    keys = {Recipe().key, Recipe(packages=(*PACKAGES, "vim")).key, Recipe(masked=()).key, Recipe().key}
    assert len(keys) == 3
