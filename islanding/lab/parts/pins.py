"""What is pinned: the sets of binaries, their versions from go.mod, and a key that changes with any pin."""

from __future__ import annotations

import hashlib
import json
import re
from dataclasses import dataclass
from pathlib import Path

from islanding.lab.images import architecture

GO_DIR = Path(__file__).parent / "go"


@dataclass(frozen=True)
class GoMod:
    """What a go.mod says that matters here: least Go version, packages of its `tool` lines, versions of modules."""

    go: tuple[int, ...]
    tools: tuple[str, ...]
    versions: dict[str, str]


@dataclass(frozen=True)
class PartSet:
    """Binaries that one go.mod pins and that are built together.

    `installs` maps the name that Go gives a program to the name that it has in the lab, `packages` that name to the Go
    package; `seconds` is how long a build
    with a cold cache takes on two cores (measured), from which the time left is estimated.
    """

    name: str
    folder: Path
    version: str
    installs: dict[str, str]
    packages: dict[str, str]
    ldflags: str
    needs_go: tuple[int, ...]
    seconds: float
    key: str

    @property
    def binaries(self) -> tuple[str, ...]:
        return tuple(self.installs.values())


@dataclass(frozen=True)
class _Spec:
    module: str
    seconds: float
    version_flags: tuple[str, ...] = ()


# In the order of building: the short ones first, so that a wrong set-up shows early.
_SPECS = {
    "pause": _Spec("", 2),
    "cni": _Spec("github.com/containernetworking/plugins", 10),
    "etcd": _Spec("go.etcd.io/etcd/server/v3", 55),
    "containerd": _Spec("github.com/containerd/containerd/v2", 65),
    "ecr-credential-provider": _Spec("k8s.io/cloud-provider-aws", 30),
    "registry": _Spec(
        "github.com/distribution/distribution/v3", 60, ("github.com/distribution/distribution/v3/version.version",)
    ),
    "aws-iam-authenticator": _Spec("sigs.k8s.io/aws-iam-authenticator", 75),
    "coredns": _Spec("github.com/coredns/coredns", 90),
    # The agent refuses a plugin whose version differs from its own: both take it from these variables.
    "amazon-vpc-cni": _Spec(
        "github.com/aws/amazon-vpc-cni-k8s",
        175,
        (
            "main.version",
            "github.com/aws/amazon-vpc-cni-k8s/pkg/version.Version",
            "github.com/aws/amazon-vpc-cni-k8s/pkg/awsutils/awssession.version",
        ),
    ),
    "kubernetes": _Spec(
        "k8s.io/kubernetes",
        390,
        ("k8s.io/component-base/version.gitVersion", "k8s.io/client-go/pkg/version.gitVersion"),
    ),
}
_RENAMED = {"server": "etcd"}  # the main package of etcd's server lives in a folder of that name


def parse_gomod(text: str) -> GoMod:
    """Read what matters here of a go.mod (Go modules reference, "go.mod files"); replacements are not followed."""
    tools: list[str] = []
    versions: dict[str, str] = {}
    go: tuple[int, ...] = ()
    block = ""
    for raw in text.splitlines():
        line = raw.split("//")[0].strip()
        if not line or line == ")":
            block = "" if line == ")" else block
            continue
        words = line.split()
        if words[-1] == "(":
            block = words[0]
            continue
        verb, rest = (block, words) if block else (words[0], words[1:])
        if verb == "go":
            go = version_tuple(rest[0])
        elif verb == "tool":
            tools.append(rest[0])
        elif verb == "require":
            versions[rest[0]] = rest[1]
    return GoMod(go, tuple(tools), versions)


def version_tuple(text: str) -> tuple[int, ...]:
    """The numbers of a Go version, `go1.26.8` or `1.26.0`, for comparing."""
    return tuple(int(number) for number in re.findall(r"\d+", text.split("-", maxsplit=1)[0]))


def program_name(package: str) -> str:
    """The name that `go install` gives a package's program: its last element that is not a major version (`/v3`)."""
    elements = package.split("/")
    if len(elements) > 1 and re.fullmatch(r"v[2-9]\d*|v1\d+", elements[-1]):
        elements.pop()
    return elements[-1]


def load(go_dir: Path = GO_DIR) -> tuple[PartSet, ...]:
    """All part sets as pinned below `go_dir`, in the order of building."""
    return tuple(_load_set(name, spec, go_dir / name) for name, spec in _SPECS.items())


def parts_key(sets: tuple[PartSet, ...]) -> str:
    """The key of all part sets together: it names the folder of their binaries in the cache."""
    return hashlib.sha256(json.dumps([part.key for part in sets]).encode()).hexdigest()[:16]


def _load_set(name: str, spec: _Spec, folder: Path) -> PartSet:
    mod = parse_gomod((folder / "go.mod").read_text())
    version = mod.versions.get(spec.module, "1")
    sources = {program_name(package): package for package in mod.tools} or {name: "."}
    installs = {program: _RENAMED.get(program, program) for program in sources}
    packages = {installs[program]: package for program, package in sources.items()}
    ldflags = " ".join(["-s -w", *(f"-X {flag}={version}" for flag in spec.version_flags)])
    digest = hashlib.sha256(json.dumps([name, ldflags, installs, architecture()]).encode())
    for path in sorted(folder.iterdir()):
        if path.suffix in (".go", ".mod", ".sum"):
            digest.update(path.name.encode() + b"\0" + path.read_bytes())
    return PartSet(
        name=name,
        folder=folder,
        version=version.removeprefix("v"),
        installs=installs,
        packages=packages,
        ldflags=ldflags,
        needs_go=mod.go,
        seconds=spec.seconds,
        key=digest.hexdigest()[:16],
    )
