"""Providers: each checks what it gives, says why it has nothing, and the next one is asked."""

from __future__ import annotations

import hashlib
import tarfile
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from islanding.errors import SetupError
from islanding.lab.parts import assemble, gobuild, pins
from islanding.lab.parts.cache import Shelf
from islanding.lab.parts.download import DownloadProvider, releases
from islanding.lab.parts.found import Layout
from islanding.lab.parts.progress import Silent
from islanding.lab.parts.providers import CacheProvider, FolderProvider, Provider, Unavailable, parse_sums, user_folder
from islanding.lab.parts.recipe import Recipe

SETS = {part.name: part for part in pins.load()}
CNI = SETS["cni"]


def sha256(data: bytes) -> str:
    """The hash of some bytes, in hexadecimal."""
    return hashlib.sha256(data).hexdigest()


def folder_with(folder: Path, sums: str | None, **contents: str) -> FolderProvider:
    """A user's folder with files of these contents and a SHA256SUMS, if any."""
    folder.mkdir()
    for name, text in contents.items():
        (folder / name).write_text(text)
        (folder / name).chmod(0o755)
    if sums is not None:
        (folder / "SHA256SUMS").write_text(sums)
    return FolderProvider(folder)


def test_folder_gives_what_matches_its_sums(tmp_path: Path) -> None:
    """A binary whose hash is the listed one is taken; what the folder lacks is left to the next provider."""
    provider = folder_with(tmp_path / "given", f"{sha256(b'x')}  bridge\n", bridge="x")
    found = provider.fetch(CNI, ["bridge", "ptp"], tmp_path, Silent())
    assert {"bridge": tmp_path / "given/bridge"} == found


@pytest.mark.parametrize(
    ("sums", "message"),
    [
        (None, "has no SHA256SUMS"),
        ("", "does not list bridge"),
        (f"{sha256(b'y')}  bridge\n", "differs from its hash"),
    ],
)
def test_folder_that_cannot_be_checked_is_refused(tmp_path: Path, sums: str | None, message: str) -> None:
    """Without sums, unlisted, or with another hash: each is an error of its own, never a silent pass."""
    provider = folder_with(tmp_path / "given", sums, bridge="x")
    with pytest.raises(SetupError, match=message):
        provider.fetch(CNI, ["bridge"], tmp_path, Silent())


def test_folder_with_another_version_is_refused(tmp_path: Path) -> None:
    """A program that says another version than the pinned one is not taken."""
    script = "#!/bin/sh\necho Kubernetes v1.20.0\n"
    provider = folder_with(tmp_path / "given", f"{sha256(script.encode())} *kubelet\n", kubelet=script)
    with pytest.raises(SetupError, match=r"is not kubelet 1\.36\.3: it says 'Kubernetes v1\.20\.0'"):
        provider.fetch(SETS["kubernetes"], ["kubelet"], tmp_path, Silent())


def test_folder_without_the_set_passes_on(tmp_path: Path) -> None:
    """A folder with none of the binaries is not an error."""
    with pytest.raises(Unavailable):
        folder_with(tmp_path / "given", "").fetch(CNI, ["bridge"], tmp_path, Silent())


def test_user_folder_must_exist(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The option wins over the variable; a folder that is not there is named."""
    monkeypatch.setenv("ISLANDING_PARTS", str(tmp_path / "none"))
    assert tmp_path == user_folder(tmp_path)
    with pytest.raises(SetupError, match="none is not a folder"):
        user_folder(None)


def test_sums_are_read_in_all_their_shapes() -> None:
    """The text and binary marks of sha256sum, a path with ./, and a lone hash are understood; other lines are none."""
    one, two, three = "a" * 64, "B" * 64, "c" * 64
    text = f"{one}  kubelet\n{two} *./ctr\n{three}\nno sum here\n"
    assert {"kubelet": one, "ctr": two.lower(), "": three} == parse_sums(text)


def test_cache_gives_binaries_of_the_same_pins_only(tmp_path: Path) -> None:
    """An earlier set of parts is used again when its key is the same and its hash still holds."""
    (tmp_path / "b").write_text("x")
    old = Shelf(tmp_path / "parts/old")
    for name, key in (("bridge", CNI.key), ("ptp", "another"), ("loopback", CNI.key)):
        old.put(tmp_path / "b", name, version="1", key=key, provider="test")
    (old.files / "loopback").write_text("damaged")
    provider = CacheProvider(tmp_path / "parts", tmp_path / "parts/new")
    found = provider.fetch(CNI, ["bridge", "ptp", "loopback"], tmp_path, Silent())
    assert {"bridge": old.files / "bridge"} == found


def test_release_addresses_name_the_pinned_version() -> None:
    """Each project's files are where it publishes them; nobody publishes our pause program."""
    expected = {
        "kubernetes": "https://dl.k8s.io/release/v1.36.3/bin/linux/arm64/kube-apiserver",
        "etcd": "https://github.com/etcd-io/etcd/releases/download/v3.7.3/etcd-v3.7.3-linux-arm64.tar.gz",
        "containerd": "https://github.com/containerd/containerd/releases/download/v2.4.2/"
        "containerd-static-2.4.2-linux-arm64.tar.gz",
        "cni": "https://github.com/containernetworking/plugins/releases/download/v1.9.1/"
        "cni-plugins-linux-arm64-v1.9.1.tgz",
        "aws-iam-authenticator": "https://github.com/kubernetes-sigs/aws-iam-authenticator/releases/download/v0.6.13/"
        "aws-iam-authenticator_0.6.13_linux_arm64",
        "registry": "https://github.com/distribution/distribution/releases/download/v3.1.2/"
        "registry_3.1.2_linux_arm64.tar.gz",
        "coredns": "https://github.com/coredns/coredns/releases/download/v1.15.0/coredns_1.15.0_linux_arm64.tgz",
    }
    found = {name: releases(part, "arm64")[0].url for name, part in SETS.items() if releases(part, "arm64")}
    assert expected == found


class Site:
    """A release site in memory: the CNI archive and its checksum."""

    def __init__(self, folder: Path, *, honest: bool = True) -> None:
        self.archive = folder / "site.tgz"
        (folder / "bridge").write_text("program")
        with tarfile.open(self.archive, "w:gz") as tar:
            tar.add(folder / "bridge", "./bridge")
        self.sum = sha256(self.archive.read_bytes()) if honest else "0" * 64
        self.probed: list[str] = []

    def probe(self, host: str) -> bool:
        self.probed.append(host)
        return True

    def get(self, url: str, target: Path) -> None:
        if url.endswith(".sha256"):
            target.write_text(f"{self.sum}  {url.rsplit('/', 1)[1].removesuffix('.sha256')}\n")
        else:
            target.write_bytes(self.archive.read_bytes())


def test_download_takes_a_member_of_a_checked_archive(tmp_path: Path) -> None:
    """The binary comes out of the archive, executable, once the archive's checksum holds."""
    site = Site(tmp_path)
    found = DownloadProvider(site.probe, site.get).fetch(CNI, ["bridge"], tmp_path, Silent())
    assert (found["bridge"].read_text(), found["bridge"].stat().st_mode & 0o777) == ("program", 0o755)


def test_download_with_another_checksum_stops_the_set_up(tmp_path: Path) -> None:
    """A file that is not what its project published is an attack or a fault: it must not be passed over."""
    site = Site(tmp_path, honest=False)
    with pytest.raises(SetupError, match="does not match its published checksum"):
        DownloadProvider(site.probe, site.get).fetch(CNI, ["bridge"], tmp_path, Silent())


def test_a_host_that_does_not_answer_is_tried_once(tmp_path: Path) -> None:
    """Without a way out, a set-up loses one short probe a host, not one a file."""
    probed: list[str] = []

    def silent(host: str) -> bool:
        probed.append(host)
        return False

    provider = DownloadProvider(silent)
    for part in (CNI, SETS["etcd"], SETS["kubernetes"]):
        with pytest.raises(Unavailable, match="cannot be reached"):
            provider.fetch(part, list(part.binaries), tmp_path, Silent())
    assert probed == ["github.com", "dl.k8s.io"]


def test_binaries_that_one_provider_lacks_come_from_the_next(tmp_path: Path) -> None:
    """The folder gives one, the next provider the other, and the manifest says which came from where."""
    first = folder_with(tmp_path / "given", f"{sha256(b'x')}  bridge\n", bridge="x")
    (tmp_path / "ptp").write_text("y")

    class Next:
        name = "next"

        def fetch(self, part: object, wanted: Sequence[str], work: Path, progress: object) -> dict[str, Path]:
            assert wanted == ["ptp"]
            return {"ptp": tmp_path / "ptp"}

    place = Layout(tmp_path, pins.load(), Recipe())
    providers: list[Provider] = [first, Next()]
    how = assemble._binaries(place, CNI, ["bridge", "ptp"], providers, Silent())
    items = place.binaries.items()
    assert ("folder given by the user, next", {"bridge": first.name, "ptp": "next"}) == (
        how,
        {name: item.provider for name, item in items.items()},
    )


def test_when_nobody_has_it_the_reasons_are_named(tmp_path: Path) -> None:
    """The message says which binary is missing and why each provider had none."""
    place = Layout(tmp_path, pins.load(), Recipe())
    providers: list[Provider] = [
        CacheProvider(tmp_path / "parts", place.binaries.folder),
        DownloadProvider(lambda _: False),
    ]
    with pytest.raises(SetupError, match=r"nobody has bridge \(cache: no earlier build.*github.com cannot be reached"):
        assemble._binaries(place, CNI, ["bridge"], providers, Silent())


@pytest.mark.parametrize(("download", "expected"), [(True, 4), (False, 3)])
def test_providers_are_asked_in_their_order(tmp_path: Path, download: bool, expected: int) -> None:
    """Folder, cache, official release, build: a release site only when it may be asked."""
    place = Layout(tmp_path, pins.load(), Recipe())
    names = [provider.name for provider in assemble.chain(place, tmp_path, download)]
    order = ["folder given by the user", "cache", "official release", "built from Go modules"]
    assert ([n for n in order if download or n != "official release"], expected) == (names, len(names))


def test_build_command_builds_all_tools_or_only_the_missing_ones() -> None:
    """A whole set is `go install tool`; one missing binary is built alone; our own program is the folder."""
    etcd = SETS["etcd"]
    tails = [
        gobuild.command(etcd, etcd.binaries)[-1:],
        gobuild.command(etcd, ["etcd"])[-1:],
        gobuild.command(SETS["pause"], ["pause"])[-1:],
    ]
    assert tails == [["tool"], ["go.etcd.io/etcd/server/v3"], ["."]]


def test_build_is_static_locked_and_deletable(tmp_path: Path) -> None:
    """No cgo, no change of go.mod, a module cache that the user can delete; only an old toolchain may fetch another."""
    new, old = (gobuild.environment(CNI, tmp_path, tmp_path, version) for version in ((1, 26, 8), (1, 22)))
    assert (new["CGO_ENABLED"], new["GOFLAGS"]) == ("0", "-mod=readonly -modcacherw")
    assert (new.get("GOTOOLCHAIN"), old.get("GOTOOLCHAIN")) == (None, "auto")


def test_missing_and_old_toolchains_are_told_apart(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No Go at all, and a Go that cannot help itself, each say so and what version is needed."""
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(SetupError, match="toolchain is missing") as missing:
        gobuild.find_toolchain(SETS["containerd"])
    (tmp_path / "go").write_text("#!/bin/sh\necho go1.19.8\n")
    (tmp_path / "go").chmod(0o755)
    with pytest.raises(SetupError, match=r"too old: go1\.19\.8, containerd needs 1\.26\.6"):
        gobuild.find_toolchain(SETS["containerd"])
    assert "Install Go 1.26.6 or newer" in missing.value.fix


@pytest.mark.parametrize(
    ("output", "expected"),
    [
        ("write /x: no space left on device", "Free 16 GB"),
        ("verifying module: checksum mismatch", "not what go.sum says"),
        ('Get "x": dial tcp: lookup proxy: no such host', "proxy cannot be reached"),
        ("go.mod requires go >= 1.26.6 (running go 1.22)", "too old"),
        ("internal compiler error", "again"),
    ],
)
def test_a_failed_build_says_what_to_do(output: str, expected: str) -> None:
    """Disk, checksum, network and toolchain failures each have their own advice."""
    assert expected in gobuild.advice(output)


def test_sets_share_no_binary() -> None:
    """No two sets install a binary of the same name: the second would overwrite the first."""
    names = [name for part in SETS.values() for name in part.binaries]
    assert sorted(set(names)) == sorted(names)
    assert replace(CNI, key="other") != CNI
