"""Files that other projects publish inside their Go modules: manifests, a CNI configuration, instance-type limits.

Each is pinned by the go.mod of a part set and checked by its go.sum; none is copied into this project.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from islanding.errors import SetupError
from islanding.lab.parts.gobuild import advice, environment, find_toolchain, last_lines
from islanding.lab.parts.pins import PartSet
from islanding.lab.parts.progress import Reporter
from islanding.process import run

SECONDS = 3.0


@dataclass(frozen=True)
class UpstreamFile:
    """A file of a Go module: its name with us, the part set that pins the module, the module, the path in it."""

    name: str
    pinned_by: str
    module: str
    path: str


AWS_NODE, CONFLIST, MAX_PODS = "aws-k8s-cni.yaml", "10-aws.conflist", "eni-max-pods.txt"
LIMITS_GO, CNINODE = "vpc_ip_resource_limit.go", "cninodes.yaml"
COREDNS, KUBE_PROXY = "coredns.yaml.base", "kube-proxy-manifests.go"

_VPC_CNI = "github.com/aws/amazon-vpc-cni-k8s"
FILES = (
    UpstreamFile(AWS_NODE, "amazon-vpc-cni", _VPC_CNI, "config/master/aws-k8s-cni.yaml"),
    UpstreamFile(CONFLIST, "amazon-vpc-cni", _VPC_CNI, "misc/10-aws.conflist"),
    UpstreamFile(MAX_PODS, "amazon-vpc-cni", _VPC_CNI, "misc/eni-max-pods.txt"),
    UpstreamFile(LIMITS_GO, "amazon-vpc-cni", _VPC_CNI, "pkg/vpc/vpc_ip_resource_limit.go"),
    UpstreamFile(
        CNINODE,
        "amazon-vpc-cni",
        "github.com/aws/amazon-vpc-resource-controller-k8s",
        "config/crd/bases/vpcresources.k8s.aws_cninodes.yaml",
    ),
    UpstreamFile(COREDNS, "kubernetes", "k8s.io/kubernetes", "cluster/addons/dns/coredns/coredns.yaml.base"),
    # kubeadm's manifest lies in a Go source file; the module has no other for a kube-proxy that runs as a DaemonSet.
    UpstreamFile(KUBE_PROXY, "kubernetes", "k8s.io/kubernetes", "cmd/kubeadm/app/phases/addons/proxy/manifests.go"),
)


def file_sets(sets: Sequence[PartSet]) -> tuple[PartSet, ...]:
    """The files as part sets, so that the same providers are asked for them; `packages` holds `module//path`."""
    found: list[PartSet] = []
    for part in sets:
        files = [file for file in FILES if file.pinned_by == part.name]
        if files:
            packages = {file.name: f"{file.module}//{file.path}" for file in files}
            key = hashlib.sha256(json.dumps([part.key, packages]).encode()).hexdigest()[:16]
            found.append(
                replace(
                    part,
                    name=f"{part.name} manifests",
                    installs={name: name for name in packages},
                    packages=packages,
                    seconds=SECONDS,
                    key=key,
                )
            )
    return tuple(found)


@dataclass(frozen=True)
class ModuleProvider:
    """Takes files out of Go modules, which the Go toolchain of this machine fetches and checks by go.sum."""

    cache: Path

    @property
    def name(self) -> str:
        return "out of Go modules"

    def fetch(self, part: PartSet, wanted: Sequence[str], work: Path, progress: Reporter) -> dict[str, Path]:
        toolchain = find_toolchain(part)
        source = work / "source"
        shutil.copytree(part.folder, source, dirs_exist_ok=True)
        modules = sorted({part.packages[name].split("//")[0] for name in wanted})
        progress.note(f"fetching {', '.join(modules)}")
        env = environment(part, self.cache, work, toolchain)
        result = run(["go", "mod", "download", "-json", *modules], check=False, env=env, cwd=source, timeout=600)
        folders = module_folders(result.stdout) if result.ok else {}
        if set(modules) - folders.keys():
            said = result.stderr + result.stdout
            raise SetupError(f"{part.name} {part.version} could not be fetched\n  {last_lines(said)}", advice(said))
        found: dict[str, Path] = {}
        for name in wanted:
            module, path = part.packages[name].split("//")
            if (folders[module] / path).is_file():
                found[name] = folders[module] / path
        return found


def module_folders(text: str) -> dict[str, Path]:
    """Folders by module from the output of `go mod download -json`: JSON objects one after the other."""
    decoder, folders, at = json.JSONDecoder(), dict[str, Path](), 0
    while at < len(text.rstrip()):
        value, at = decoder.raw_decode(text, at + len(text[at:]) - len(text[at:].lstrip()))
        if value.get("Dir"):
            folders[str(value["Path"])] = Path(value["Dir"])
    return folders
