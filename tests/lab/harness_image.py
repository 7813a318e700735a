"""The harness's own container image, made offline from this machine: its Python, the locked packages, `islanding`.

It stands in for what `deploy/Containerfile` builds where base images and packages can be had: the same programs in the
same places, from this machine's files. What only a lab's own AWS needs is left out, so that it is soon pushed.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import re
import shutil
import subprocess
import sys
import sysconfig
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from islanding.lab.images import Entry, Image, write_archive
from islanding.paths import CONTENT, cache_dir

ROOT = Path(__file__).resolve().parents[2]
LOCK = ROOT / "requirements" / "run.lock"
USER = 10001
VERSION = f"python{sys.version_info.major}.{sys.version_info.minor}"
LIBRARY = f"usr/local/lib/{VERSION}"
PACKAGES = f"{LIBRARY}/site-packages"
PROGRAMS = ("sh", "env", "realpath", "cat", "id", "setpriv", "ssh")  # what a run calls beside kubectl and aws
SCRIPTS = {"islanding": "islanding.cli:main", "aws": "awscli.clidriver:main"}
LEFT_OUT = re.compile(r"(^|/)(__pycache__|test|tests|idlelib|tkinter|turtledemo|ensurepip|examples)/|\.(pyc|a)$")
LAB_ONLY = {"moto", "cfn-lint", "sympy", "mpmath", "networkx", "aws-sam-translator", "kubernetes", "docker"}


@dataclass(frozen=True)
class File:
    """A file of this machine, or a text, and its place in the image."""

    where: str
    source: Path | None = None
    text: str = ""
    mode: int = 0o644
    link: str | None = None

    @property
    def mark(self) -> str:
        """Changes with the file."""
        stat = self.source.stat() if self.source else None
        return f"{self.where} {self.mode} {self.link} {self.text} {stat and (stat.st_size, stat.st_mtime_ns)}"

    def entry(self) -> Entry:
        """The file as a layer has it."""
        data = None if self.link else self.source.read_bytes() if self.source else self.text.encode()
        return Entry(self.where, data, self.link, self.mode)


def archive(kubectl: Path, name: str) -> Path:
    """The image as an archive in the user's cache folder; made once for each content. `name` is with its tag."""
    files = [
        *_python(),
        *_packages(),
        *_own(),
        *_scripts(),
        *_accounts(),
        File("usr/local/bin/kubectl", kubectl, mode=0o755),
    ]
    programs = [Path(found) for program in PROGRAMS if (found := shutil.which(program))]
    files += _with_libraries(programs, files)
    marks = "\n".join(sorted(file.mark for file in files)) + Path(__file__).read_text(encoding="utf-8") + name
    path = cache_dir() / "harness-images" / f"{hashlib.sha256(marks.encode()).hexdigest()[:20]}.tar"
    if not path.exists():
        write_archive(_image(name, [*(file.entry() for file in files), Entry("tmp", mode=0o1777)]), path)
        for old in path.parent.glob("*.tar"):  # of other code: hundreds of megabytes each
            if old != path:
                old.unlink()
    return path


def _image(name: str, entries: Iterable[Entry]) -> Image:
    env = {
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "HOME": "/var/lib/islanding",
        "PYTHONHOME": "/usr/local",
        "PYTHONDONTWRITEBYTECODE": "1",
        "LD_LIBRARY_PATH": "/usr/local/lib",
        "LANG": "C.UTF-8",
    }
    return Image(name, (tuple(entries),), ("/usr/local/bin/islanding",), env, user=str(USER))


def _python() -> Iterator[File]:
    """The interpreter and its library."""
    yield from _file(Path(sys.executable).resolve(), f"usr/local/bin/{VERSION}", 0o755)
    yield File("usr/local/bin/python3", link=VERSION)
    library = Path(sysconfig.get_path("stdlib"))
    for path in sorted(library.rglob("*")):
        inside = path.relative_to(library).as_posix()
        if path.is_file() and not LEFT_OUT.search(inside) and not inside.startswith(("site-packages/", "config-")):
            yield from _file(path, f"{LIBRARY}/{inside}")


def _packages() -> Iterator[File]:
    """The packages that the lock names, as they are installed here."""
    names = re.findall(r"^([A-Za-z0-9._-]+)==", LOCK.read_text(encoding="utf-8"), re.MULTILINE)
    for name in sorted(set(names) - LAB_ONLY):
        try:
            files = importlib.metadata.distribution(name).files or []
        except importlib.metadata.PackageNotFoundError:
            continue  # of another system or version of Python: the lock names these, too
        for file in files:
            inside = file.as_posix()
            if not inside.startswith("..") and not LEFT_OUT.search(inside):
                yield from _file(Path(str(file.locate())), f"{PACKAGES}/{inside}")


def _own() -> Iterator[File]:
    """`islanding` with its content, as its wheel has it."""
    listed = subprocess.run(
        ["git", "-C", str(ROOT), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True, text=True, check=True,
    ).stdout.split("\0")  # fmt: skip
    for name in sorted(filter(None, listed)):
        top = name.split("/", 1)[0]
        where = f"{PACKAGES}/islanding/content/{name}" if top in CONTENT else f"{PACKAGES}/{name}"
        if top in (*CONTENT, "islanding") and (ROOT / name).is_file():
            yield from _file(ROOT / name, where)
    own = importlib.metadata.distribution("islanding")
    folder = f"{PACKAGES}/islanding-{own.version}.dist-info"
    for part in ("METADATA", "entry_points.txt"):
        yield File(f"{folder}/{part}", text=own.read_text(part) or "")


def _scripts() -> Iterator[File]:
    for name, where in SCRIPTS.items():
        module, _, function = where.partition(":")
        text = f"#!/usr/local/bin/{VERSION}\nimport sys\nfrom {module} import {function}\nsys.exit({function}())\n"
        yield File(f"usr/local/bin/{name}", text=text, mode=0o755)


def _accounts() -> Iterator[File]:
    accounts = f"root:x:0:0::/root:/bin/sh\nislanding:x:{USER}:{USER}::/var/lib/islanding:/bin/sh\n"
    yield File("etc/passwd", text=accounts)
    yield File("etc/group", text=f"root:x:0:\nislanding:x:{USER}:\n")
    yield File("etc/nsswitch.conf", text="passwd: files\ngroup: files\nhosts: files dns\n")
    for name in ("bin", "lib", "lib64", "sbin"):
        yield File(name, link=f"usr/{name}")


def _with_libraries(programs: Sequence[Path], packed: Iterable[File]) -> Iterator[File]:
    """Programs, and the shared libraries of all that is packed, at the paths where their loader looks."""
    names = {file.where.rpartition("/")[2] for file in packed}
    python = Path(sys.executable).resolve()
    wanted = {program.absolute(): _below_usr(program.as_posix()) for program in programs}
    for library in _loaded([*programs, python, *_extensions()]):
        if library.name not in names:
            standard = library.as_posix().startswith(("/lib", "/usr/lib"))
            wanted[library] = _below_usr(library.as_posix()) if standard else f"usr/local/lib/{library.name}"
    for source, place in sorted(wanted.items()):
        yield from _file(source, place, 0o755)


def _extensions() -> list[Path]:
    """The libraries in Debian's folders that modules written in C ask for by name."""
    folders = (f"{sysconfig.get_path('stdlib')}/lib-dynload", sysconfig.get_path("platlib"))
    objects = [str(path) for folder in folders for path in Path(folder).rglob("*.so*") if path.is_file()]
    asked = subprocess.run(["readelf", "--dynamic", "--wide", *objects], capture_output=True, text=True, check=False)
    names = set(re.findall(r"\(NEEDED\).*\[(.+)\]", asked.stdout))
    known = subprocess.run(["ldconfig", "-p"], capture_output=True, text=True, check=True).stdout
    paths = dict(reversed(re.findall(r"^\t(\S+) \(.*\) => (/\S+)$", known, re.MULTILINE)))
    return [Path(paths[name]) for name in sorted(names) if name in paths and not name.startswith(("libtcl", "libtk"))]


def _loaded(objects: Sequence[Path]) -> set[Path]:
    """The shared libraries that programs and libraries load, as their loader lists them, and those themselves."""
    listed = subprocess.run(["ldd", *map(str, objects)], capture_output=True, text=True, check=False).stdout
    found = {Path(path) for path in re.findall(r"(?:=> |^\t)(/\S+) \(0x", listed, re.MULTILINE)}
    return found | {path for path in objects if ".so" in path.name}


def _below_usr(path: str) -> str:
    return re.sub(r"^/(bin|sbin|lib|lib64)/", r"usr/\1/", path).lstrip("/")


def _file(path: Path, where: str, mode: int | None = None) -> Iterator[File]:
    if path.is_file():
        yield File(where, path, mode=mode or (0o755 if path.stat().st_mode & 0o100 else 0o644))
