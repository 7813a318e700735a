"""Gathers what the container images hold: built programs, and Debian's programs with their libraries."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from islanding.errors import SetupError
from islanding.lab import archives
from islanding.lab.images import Entry, Image, nginx, pause, write_archive
from islanding.lab.parts import upstream
from islanding.lab.parts.apt import mirror_lines, proxy_options
from islanding.lab.parts.recipe import SUITE
from islanding.lab.system_images import programs, system_images
from islanding.process import Result, run

PACKAGES = ("nginx-light", "busybox-static", "iptables", "nftables", "conntrack")
CACHED = "lab.local/nginx:1"
# Never imported into a node: shows that an image which is not cached cannot be had while the Region is away.
UNCACHED = "lab.local/uncached:1"
WITHHELD = "withheld"
SYSTEM = "system"  # AWS's own registry is filled from here; nodes pull these
INDEX = f"{SYSTEM}/{archives.INDEX}"
BUILD_SECONDS = 10.0

_FILTER_PROGRAMS = ("/usr/sbin/xtables-nft-multi", "/usr/sbin/nft", "/usr/sbin/conntrack")
_IN_AGENT = (upstream.CONFLIST, upstream.MAX_PODS)
_MERGED = tuple(Entry(name, link=f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin"))


@dataclass(frozen=True)
class Contents:
    """What goes into the images: programs by name, files of other projects by name, files out of Debian's packages."""

    binaries: Mapping[str, bytes] = field(default_factory=lambda: dict.fromkeys(programs(), b""))
    upstream: Mapping[str, bytes] = field(default_factory=lambda: dict.fromkeys(_IN_AGENT, b""))
    nginx: Sequence[Entry] = ()
    packet_filter: Sequence[Entry] = ()


def contents(bin_dir: Path, upstream_dir: Path, tree: Path) -> Contents:
    """Read it all: the built programs, the other projects' files, and the unpacked packages."""
    return Contents(
        {name: (bin_dir / name).read_bytes() for name in programs()},
        {name: (upstream_dir / name).read_bytes() for name in _IN_AGENT},
        nginx_entries(tree),
        filter_entries(tree),
    )


def extract_command(tree: Path, sources: Path, proxies: list[str]) -> list[str]:
    """The mmdebstrap command that unpacks PACKAGES and what they depend on below `tree`, configuring nothing."""
    argv = ["mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"]
    argv += ["--include=" + ",".join(PACKAGES), '--aptopt=Apt::Install-Recommends "false"']
    argv += [f"--aptopt={option}" for option in proxies]
    return [*argv, SUITE, str(tree), *([str(sources)] if sources.read_text().strip() else [])]


def unpack(work: Path, runner: Callable[[list[str]], Result]) -> Path:
    """Unpack Debian's packages below `work` and return their tree; raises SetupError when they cannot be had."""
    tree, sources = work / "tree", work / "sources.list"
    discard(work)
    work.mkdir(parents=True)
    sources.write_text("".join(f"{line}\n" for line in mirror_lines(SUITE)))
    result = runner(extract_command(tree, sources, proxy_options()))
    if not result.ok:
        last = "\n  ".join(result.stderr.strip().splitlines()[-6:])
        raise SetupError(
            f"Debian's packages for the container images could not be had\n  {last}",
            "Check that `apt-get update` works, then run `islanding setup` again.",
        )
    return tree


def nginx_entries(tree: Path) -> list[Entry]:
    """nginx with the libraries that it needs, and busybox."""
    mime = Entry("etc/nginx/mime.types", (tree / "etc/nginx/mime.types").read_bytes(), mode=0o644)
    return [*_taken(tree, ["/usr/sbin/nginx"]), *_busybox(tree), *_MERGED, mime]


def filter_entries(tree: Path) -> list[Entry]:
    """iptables (on nftables) with its matches and targets, nft, conntrack, their libraries, and busybox."""
    extensions = sorted(f"/{path.relative_to(tree)}" for path in tree.glob("usr/lib/*/xtables/*.so"))
    if not extensions:
        raise SetupError("Debian's iptables has no extensions where they were expected (usr/lib/*/xtables)")
    return [*_taken(tree, [*_FILTER_PROGRAMS, *extensions]), *_busybox(tree), *_MERGED]


def _taken(tree: Path, programs: Sequence[str]) -> Iterator[Entry]:
    wanted = {path for program in programs for path in (program, *libraries(tree, program))}
    return (Entry(_merged(path), (tree / path[1:]).read_bytes()) for path in sorted(wanted))


def _busybox(tree: Path) -> list[Entry]:
    path = next(path for path in (tree / "usr/bin/busybox", tree / "bin/busybox") if path.exists())
    return [Entry("usr/bin/busybox", path.read_bytes())]


def libraries(tree: Path, program: str) -> list[str]:
    """The shared libraries, loader included, that `program` below `tree` loads, as its own loader lists them."""
    loader = next(p for p in (*tree.glob("lib64/ld-linux-*"), *tree.glob("lib/ld-linux-*")) if p.exists())
    inside = f"/{loader.relative_to(tree)}"
    listed = run(["chroot", str(tree), inside, "--list", program])
    return sorted({inside, *parse_loader_list(listed.stdout)})


def parse_loader_list(text: str) -> list[str]:
    """Paths of the libraries in the output of `ld.so --list`; raises SetupError when one of them was not found."""
    paths: list[str] = []
    for line in text.splitlines():
        words = line.split()
        if "=>" in words and "not" in words:
            raise SetupError(f"a library of a container image is missing: {words[0]}")
        if "=>" in words:
            paths.append(words[words.index("=>") + 1])
        elif words and words[0].startswith("/"):
            paths.append(words[0])
    return paths


def all_images(given: Contents) -> dict[str, Image]:
    """The lab's images by archive name.

    The one that nodes must not have cached is in the `withheld` folder, AWS's own in the `system` folder.
    """
    own = (pause(given.binaries["pause"]), nginx(CACHED, given.nginx))
    uncached = nginx(UNCACHED, given.nginx)
    system = system_images(given.binaries, given.upstream, given.packet_filter)
    return {
        **{image.file_name: image for image in own},
        f"{WITHHELD}/{uncached.file_name}": uncached,
        **{f"{SYSTEM}/{image.file_name}": image for image in system},
    }


def archive_names() -> list[str]:
    """The names of the archives and of their list, as they lie below the folder of container images."""
    return [*all_images(Contents()), INDEX]


def write_images(folder: Path, given: Contents) -> dict[str, Path]:
    """Write the image archives and the list of AWS's own below `folder`, and return them by name."""
    written: dict[str, Path] = {}
    for name, image in all_images(given).items():
        written[name] = folder / name
        write_archive(image, written[name])
    listed = [archives.stored(path) for name, path in written.items() if name.startswith(f"{SYSTEM}/")]
    written[INDEX] = folder / INDEX
    written[INDEX].write_text(archives.index_text(listed))
    return written


def versions(tree: Path) -> dict[str, str]:
    """Versions of the packages below `tree`: an unpacked tree has no dpkg database, so the changelogs say them."""
    found: dict[str, str] = {}
    for name in ("nginx", *PACKAGES):
        path = tree / "usr/share/doc" / name / "changelog.Debian.gz"
        if not path.is_file():
            continue
        with gzip.open(path, "rt", errors="replace") as text:
            first = re.match(r"\S+ \(([^)]+)\)", text.readline())
        if first:
            found[name] = first[1]
    return found


def _merged(path: str) -> str:
    """The path with /lib, /lib64, /bin and /sbin where they really are, below /usr."""
    return path[1:] if path.startswith("/usr/") else f"usr{path}"


def discard(work: Path) -> None:
    """Remove what `unpack` unpacked."""
    shutil.rmtree(work, ignore_errors=True)
