"""What an instance's AMI has on its disk, and how its scripts read what they are given."""

from __future__ import annotations

import fnmatch
import gzip
import json
import subprocess
import tomllib
from pathlib import Path

import pytest
import yaml

from islanding.lab import guest, node
from islanding.lab.guest import nodeadm
from islanding.lab.machine import MachineFile

REGION = "ap-northeast-1"
FILES = node.ami_files(REGION, b"CA", b"m5.large 29\n")
UNITS = "/etc/systemd/system/"


def test_the_runtime_takes_its_images_from_the_registry() -> None:
    """The sandbox's image in the Region's own registry; nothing is imported when containerd starts."""
    config = tomllib.loads(FILES["/etc/containerd/config.toml"].content.decode())
    images = config["plugins"]["io.containerd.cri.v1.images"]
    assert 3 == config["version"]
    assert f"602401143452.dkr.ecr.{REGION}.amazonaws.com/eks/pause:1" == images["pinned_images"]["sandbox"]
    assert b"ExecStartPost=\n" in FILES[f"{UNITS}containerd.service.d/10-registry.conf"].content


@pytest.mark.parametrize(
    ("image", "asked"),
    [
        (f"123456789012.dkr.ecr.{REGION}.amazonaws.com", True),
        ("602401143452.dkr.ecr.us-east-1.amazonaws.com", True),
        ("registry.example.com", False),
    ],
)
def test_the_kubelet_asks_the_plugin_for_amazon_ecrs_images(image: str, asked: bool) -> None:
    """By the host names of registries in any Region."""
    (provider,) = json.loads(FILES["/etc/eks/image-credential-provider/config.json"].content)["providers"]
    assert "ecr-credential-provider" == provider["name"]
    assert asked == any(fnmatch.fnmatch(image, pattern) for pattern in provider["matchImages"])


def test_units_start_what_is_there() -> None:
    """Every program of ours that a unit starts is on the disk and may be executed; links lead to files."""
    for path, file in FILES.items():
        if file.target and file.target != "/dev/null":
            assert file.target in FILES, path
        for line in file.content.decode().splitlines() if path.endswith(".service") else ():
            program = line.partition("=")[2].split(" ")[0] if line.startswith("Exec") else ""
            if program.startswith(("/etc/", "/usr/bin/nodeadm")):
                assert 0o755 == FILES[program].mode, line


@pytest.mark.parametrize("name", ["bootstrap.sh", "join.sh", "pull-sandbox-image.sh", "cfn-signal"])
def test_scripts_are_scripts(name: str) -> None:
    """bash can read them to their end."""
    assert 0 == subprocess.run(["bash", "-n"], input=guest.text(name), check=False).returncode


def bash(name: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a script with arguments that it cannot do anything with."""
    script = guest.text(name).decode()
    return subprocess.run(
        ["bash", "-s", "--", *arguments], input=script, capture_output=True, text=True, check=False, timeout=20
    )


@pytest.mark.parametrize(
    ("name", "arguments", "said"),
    [
        ("bootstrap.sh", [], "the cluster's name is missing"),
        ("bootstrap.sh", ["lab", "--apiserver-endpoint"], "--apiserver-endpoint needs a value"),
        ("bootstrap.sh", ["lab", "--no-such", "x"], "unknown argument --no-such"),
        ("bootstrap.sh", ["lab", "other"], "one cluster name, please"),
        ("bootstrap.sh", ["lab", "--enable-local-outpost", "maybe"], "takes true or false"),
        ("bootstrap.sh", ["lab", "--container-runtime", "dockerd"], "only containerd"),
        ("bootstrap.sh", ["lab", "--ip-family", "ipv6"], "only ipv4"),
        ("bootstrap.sh", ["lab", "--aws-api-retry-attempts", "many"], "takes a number"),
        ("cfn-signal", ["--exit-code", "0"], "specify both a stack and a resource"),
        ("cfn-signal", ["--stack", "s", "--resource", "r", "--colour", "x"], "no such option: --colour"),
    ],
)
def test_a_mistake_in_the_arguments_is_named(name: str, arguments: list[str], said: str) -> None:
    """And nothing else is done."""
    done = bash(name, *arguments)
    assert 0 != done.returncode
    assert said in done.stderr


def test_help_lists_the_arguments_of_al2s_script() -> None:
    """All of those that mean something here."""
    said = bash("bootstrap.sh", "--help").stdout
    assert [] == [
        option
        for option in ("--apiserver-endpoint", "--b64-cluster-ca", "--kubelet-extra-args", "--use-max-pods",
                       "--dns-cluster-ip", "--service-ipv4-cidr", "--pause-container-account", "--enable-local-outpost",
                       "--cluster-id", "--ip-family", "--container-runtime", "--aws-api-retry-attempts")
        if option not in said
    ]  # fmt: skip


def test_a_worker_of_an_outpost_has_the_same_script() -> None:
    """One bootstrap.sh; what differs are the files beside it."""
    assert node.bootstrap_files().items() <= FILES.items()
    assert "/etc/eks/kube-proxy.yaml" not in FILES
    assert isinstance(FILES["/etc/eks/join.sh"], MachineFile)


def test_a_config_without_a_site_leaves_the_timers_to_kubernetes() -> None:
    """A closed network's nodes have the kubelet's own intervals."""
    assert "nodeStatusUpdateFrequency" not in yaml.safe_load(FILES["/etc/eks/kubelet-config.yaml"].content)


def test_cloud_init_keeps_its_log() -> None:
    """Its logger is named: Python switches off those that a configuration does not mention."""
    assert b"qualname=cloudinit" in FILES["/etc/cloud/cloud.cfg.d/05_logging.cfg"].content


CONFIG = b"apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {cluster: {name: lab}, kubelet: {flags: [--a]}}\n"
SECOND = b"apiVersion: node.eks.aws/v1alpha1\nkind: NodeConfig\nspec: {cluster: {cidr: x}, kubelet: {flags: [--b]}}\n"
PARTS = (
    b'MIME-Version: 1.0\nContent-Type: multipart/mixed; boundary="B"\n\n--B\nContent-Type: text/x-shellscript\n\n'
    b"#!/bin/sh\ntrue\n\n--B\nContent-Type: application/node.eks.aws\n\n" + CONFIG + b"\n--B\n"
    b"Content-Type: application/node.eks.aws\n\n" + SECOND + b"\n--B--\n"
)
MERGED = {"cluster": {"name": "lab", "cidr": "x"}, "kubelet": {"flags": ["--a", "--b"]}}


@pytest.mark.parametrize(
    ("data", "spec"),
    [
        (CONFIG, {"cluster": {"name": "lab"}, "kubelet": {"flags": ["--a"]}}),
        (PARTS, MERGED),
        (PARTS.replace(b"\n", b"\r\n"), MERGED),
        (gzip.compress(PARTS), MERGED),
        (b"#!/bin/bash\n/etc/eks/bootstrap.sh lab\n", None),
        (b"#cloud-config\nruncmd: [a]\n", None),
        (b"", None),
        (b"\xff\xfe", None),
    ],
)
def test_nodeadm_finds_its_config_in_user_data(data: bytes, spec: object) -> None:
    """Plain or as parts of a MIME document, which are merged; anything else is somebody else's."""
    assert spec == nodeadm.merged(nodeadm.node_configs(data)).get("spec")


def test_a_node_config_that_cannot_be_read_is_said() -> None:
    """Not taken for somebody else's user data."""
    with pytest.raises(nodeadm.Failed, match="could not parse NodeConfig"):
        nodeadm.node_configs(CONFIG + b"  bad: [\n")


@pytest.mark.parametrize(
    ("lacks", "words"),
    [
        ("name", "Name is missing"),
        ("apiServerEndpoint", "Apiserver endpoint is missing"),
        ("certificateAuthority", "Certificate authority is missing"),
        ("cidr", "CIDR is missing"),
    ],
)
def test_what_a_node_config_lacks_is_named(lacks: str, words: str) -> None:
    """In nodeadm's words."""
    whole = {"name": "a", "apiServerEndpoint": "b", "certificateAuthority": "c", "cidr": "10.100.0.0/16"}
    nodeadm.validate(whole)
    with pytest.raises(nodeadm.Failed, match=words):
        nodeadm.validate({**whole, lacks: ""})


@pytest.mark.parametrize(
    ("code", "again"),
    [
        ("RequestLimitExceeded", True),
        ("ServerException", True),
        ("Unavailable", True),
        ("AccessDeniedException", False),
    ],
)
def test_nodeadm_asks_again_when_aws_itself_failed(code: str, again: bool) -> None:
    """Throttled or failed on AWS's side is worth another try; a refusal is not."""
    said = f"An error occurred ({code}) when calling the DescribeCluster operation: Rate exceeded"

    assert (nodeadm.TRANSIENT.search(said) is not None) == again


def test_nodeadm_gives_up_at_its_deadline(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """In the words of the SDK, after tries that are in the log."""
    (tmp_path / "aws").write_text("#!/bin/sh\necho 'Connect timeout on endpoint URL' >&2\nexit 255\n")
    (tmp_path / "aws").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    monkeypatch.setattr(nodeadm, "DEADLINE", 0.05)
    monkeypatch.setattr(nodeadm, "PAUSE", 0.02)
    with pytest.raises(nodeadm.Failed, match=r"operation error EC2: DescribeInstances.*context deadline exceeded"):
        nodeadm.call("describe-instances")


def test_the_dns_service_is_the_tenth_address() -> None:
    """Of the service range."""
    assert "10.100.0.10" == nodeadm.dns_address("10.100.0.0/16")
    with pytest.raises(nodeadm.Failed, match="CIDR"):
        nodeadm.dns_address("nonsense")
