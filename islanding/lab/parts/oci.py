"""Gathers what the container images hold: our pause program and nginx with its libraries out of Debian's packages."""

from __future__ import annotations

import gzip
import re
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from islanding.errors import SetupError
from islanding.lab.images import Entry, Image, nginx, pause, write_archive
from islanding.lab.parts.apt import mirror_lines, proxy_options
from islanding.lab.parts.recipe import SUITE
from islanding.process import Result, run

NGINX_PACKAGES = ("nginx-light", "busybox-static")
CACHED = "lab.local/nginx:1"
# Never imported into a node: shows that an image which is not cached cannot be had while the Region is away.
UNCACHED = "lab.local/uncached:1"
WITHHELD = "withheld"
BUILD_SECONDS = 15.0


def extract_command(tree: Path, sources: Path, proxies: list[str]) -> list[str]:
    """The mmdebstrap command that unpacks nginx, busybox and what they depend on below `tree`, configuring nothing."""
    argv = ["mmdebstrap", "--mode=root", "--variant=extract", "--format=directory"]
    argv += ["--include=" + ",".join(NGINX_PACKAGES), '--aptopt=Apt::Install-Recommends "false"']
    argv += [f"--aptopt={option}" for option in proxies]
    return [*argv, SUITE, str(tree), *([str(sources)] if sources.read_text().strip() else [])]


def nginx_entries(work: Path, runner: Callable[[list[str]], Result]) -> tuple[list[Entry], dict[str, str]]:
    """Unpack Debian's nginx below `work` and return the files that it needs to run, and the packages' versions.

    Raises SetupError when the packages cannot be had.
    """
    tree, sources = work / "tree", work / "sources.list"
    discard(work)
    work.mkdir(parents=True)
    sources.write_text("".join(f"{line}\n" for line in mirror_lines(SUITE)))
    result = runner(extract_command(tree, sources, proxy_options()))
    if not result.ok:
        last = "\n  ".join(result.stderr.strip().splitlines()[-6:])
        raise SetupError(
            f"Debian's nginx for the workload image could not be had\n  {last}",
            "Check that `apt-get update` works, then run `islanding setup` again.",
        )
    files = ["/usr/sbin/nginx", *libraries(tree, "/usr/sbin/nginx")]
    entries = [Entry(_merged(path), (tree / path[1:]).read_bytes()) for path in files]
    busybox = next(path for path in (tree / "usr/bin/busybox", tree / "bin/busybox") if path.exists())
    entries.append(Entry("usr/bin/busybox", busybox.read_bytes()))
    entries += [Entry(name, link=f"usr/{name}") for name in ("bin", "lib", "lib64", "sbin")]
    entries.append(Entry("etc/nginx/mime.types", (tree / "etc/nginx/mime.types").read_bytes(), mode=0o644))
    return entries, _versions(tree)


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
            raise SetupError(f"a library of the workload image is missing: {words[0]}")
        if "=>" in words:
            paths.append(words[words.index("=>") + 1])
        elif words and words[0].startswith("/"):
            paths.append(words[0])
    return paths


def all_images(pause_program: bytes, entries: Sequence[Entry]) -> dict[str, Image]:
    """The lab's images by archive name; the one that nodes must not have cached is in the `withheld` folder."""
    images = (pause(pause_program), nginx(CACHED, entries), nginx(UNCACHED, entries))
    return {f"{WITHHELD}/{i.file_name}" if i.name == UNCACHED else i.file_name: i for i in images}


def archive_names() -> list[str]:
    """The names of the archives, as they lie below the folder of container images."""
    return list(all_images(b"", ()))


def write_images(folder: Path, pause_program: Path, entries: Sequence[Entry]) -> dict[str, Path]:
    """Write the lab's image archives below `folder` and return them by name."""
    written: dict[str, Path] = {}
    for name, image in all_images(pause_program.read_bytes(), entries).items():
        written[name] = folder / name
        write_archive(image, written[name])
    return written


def _merged(path: str) -> str:
    """The path with /lib, /lib64, /bin and /sbin where they really are, below /usr."""
    return path[1:] if path.startswith("/usr/") else f"usr{path}"


def _versions(tree: Path) -> dict[str, str]:
    """Versions of the programs below `tree`: an unpacked tree has no dpkg database, so the changelogs say them."""
    found: dict[str, str] = {}
    for name in ("nginx", "busybox-static"):
        with gzip.open(tree / "usr/share/doc" / name / "changelog.Debian.gz", "rt", errors="replace") as text:
            first = re.match(r"\S+ \(([^)]+)\)", text.readline())
        if first:
            found[name] = first[1]
    return found


def discard(work: Path) -> None:
    """Remove what `nginx_entries` unpacked."""
    shutil.rmtree(work, ignore_errors=True)
