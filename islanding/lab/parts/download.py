"""Downloads a project's official binaries when its release site answers, checked by the checksums it publishes."""

from __future__ import annotations

import shutil
import socket
import tarfile
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

from islanding.errors import SetupError
from islanding.lab.images import architecture
from islanding.lab.parts.cache import file_hash
from islanding.lab.parts.pins import PartSet
from islanding.lab.parts.progress import Reporter
from islanding.lab.parts.providers import Unavailable, parse_sums

CONNECT_SECONDS = 2.0
READ_SECONDS = 60.0


@dataclass(frozen=True)
class Release:
    """One file of a release: its address, the address of its checksums, and the binaries in it.

    `members` gives the path in the archive by name; the whole file is the binary when that path is empty.
    """

    url: str
    sums_url: str
    members: dict[str, str]


def releases(part: PartSet, arch: str = architecture()) -> list[Release]:
    """Where the project of a part set publishes its binaries; empty for what no project publishes with checksums.

    Sources: kubernetes.io "Download Kubernetes"; the release pages of etcd, containerd, containernetworking/plugins,
    distribution and CoreDNS; aws-iam-authenticator's .goreleaser.yaml (project name `authenticator`).
    """
    v, site = part.version, "https://github.com"
    published: dict[str, tuple[str, str, dict[str, str]]] = {
        "etcd": (
            f"{site}/etcd-io/etcd/releases/download/v{v}/etcd-v{v}-linux-{arch}.tar.gz",
            f"{site}/etcd-io/etcd/releases/download/v{v}/SHA256SUMS",
            {name: f"etcd-v{v}-linux-{arch}/{name}" for name in part.binaries},
        ),
        "containerd": (
            f"{site}/containerd/containerd/releases/download/v{v}/containerd-static-{v}-linux-{arch}.tar.gz",
            ".sha256sum",
            {name: f"bin/{name}" for name in part.binaries},
        ),
        "cni": (
            f"{site}/containernetworking/plugins/releases/download/v{v}/cni-plugins-linux-{arch}-v{v}.tgz",
            ".sha256",
            {name: f"./{name}" for name in part.binaries},
        ),
        "aws-iam-authenticator": (
            f"{site}/kubernetes-sigs/aws-iam-authenticator/releases/download/v{v}/aws-iam-authenticator_{v}_linux_{arch}",
            f"{site}/kubernetes-sigs/aws-iam-authenticator/releases/download/v{v}/authenticator_{v}_checksums.txt",
            {"aws-iam-authenticator": ""},
        ),
        "registry": (
            f"{site}/distribution/distribution/releases/download/v{v}/registry_{v}_linux_{arch}.tar.gz",
            ".sha256",
            {"registry": "registry"},
        ),
        "coredns": (
            f"{site}/coredns/coredns/releases/download/v{v}/coredns_{v}_linux_{arch}.tgz",
            ".sha256",
            {"coredns": "coredns"},
        ),
    }
    if part.name == "kubernetes":
        base = f"https://dl.k8s.io/release/v{v}/bin/linux/{arch}"
        return [Release(f"{base}/{name}", f"{base}/{name}.sha256", {name: ""}) for name in part.binaries]
    if part.name not in published:
        return []
    url, sums, members = published[part.name]
    return [Release(url, url + sums if sums.startswith(".") else sums, members)]


def answers(host: str) -> bool:
    """Whether a TCP connection to the host's port 443 opens within CONNECT_SECONDS."""
    try:
        with socket.create_connection((host, 443), timeout=CONNECT_SECONDS):
            return True
    except OSError:
        return False


def save(url: str, target: Path) -> None:
    """Write what is at `url` to `target`; raises OSError (urllib's errors are such) when it cannot be had whole."""
    with urllib.request.urlopen(url, timeout=READ_SECONDS) as response, target.open("wb") as out:  # noqa: S310 - https only: releases()
        shutil.copyfileobj(response, out)
        expected = response.headers.get("Content-Length")
    if expected and target.stat().st_size != int(expected):
        raise OSError(f"{url}: {target.stat().st_size} of {expected} bytes")


@dataclass
class DownloadProvider:
    """Release sites; each host is tried once a run, so that a machine without a way out loses no time."""

    probe: Callable[[str], bool] = answers
    get: Callable[[str, Path], None] = save
    reachable: dict[str, bool] = field(default_factory=dict)

    @property
    def name(self) -> str:
        return "official release"

    def fetch(self, part: PartSet, wanted: Sequence[str], work: Path, progress: Reporter) -> dict[str, Path]:
        chosen = [release for release in releases(part) if any(name in wanted for name in release.members)]
        if not chosen:
            raise Unavailable(f"no project publishes {part.name}")
        found: dict[str, Path] = {}
        for release in chosen:
            host = urlsplit(release.url).hostname or ""
            if host not in self.reachable:
                self.reachable[host] = self.probe(host)
            if not self.reachable[host]:
                raise Unavailable(f"{host} cannot be reached")
            progress.note(f"downloading {release.url}")
            try:
                found |= self._take(release, wanted, work)
            except OSError as error:
                raise Unavailable(f"{release.url}: {error}") from None
        return found

    def _take(self, release: Release, wanted: Sequence[str], work: Path) -> dict[str, Path]:
        file_name = release.url.rsplit("/", 1)[1]
        archive, sums = work / f"{file_name}.download", work / f"{file_name}.sums"
        self.get(release.sums_url, sums)
        self.get(release.url, archive)
        published = parse_sums(sums.read_text())
        expected = published.get(file_name) or published.get("")
        if expected is None or file_hash(archive) != expected:
            raise SetupError(
                f"{release.url} does not match its published checksum",
                "Something on the way changed it. Try another network, or `islanding setup --no-download` to build it.",
            )
        return unpack(archive, {name: member for name, member in release.members.items() if name in wanted}, work)


def unpack(archive: Path, members: dict[str, str], work: Path) -> dict[str, Path]:
    """Take the named members out of a checked archive; raises OSError when one is not in it."""
    found: dict[str, Path] = {}
    if all(not member for member in members.values()):
        for name in members:
            found[name] = archive.rename(work / name)
        return found
    with tarfile.open(archive) as tar:
        for name, member in members.items():
            try:
                content = tar.extractfile(member)
            except KeyError:
                content = None
            if content is None:
                raise OSError(f"{archive.name} has no {member}")
            found[name] = work / name
            with found[name].open("wb") as out:
                shutil.copyfileobj(content, out)
            found[name].chmod(0o755)
    archive.unlink()
    return found
