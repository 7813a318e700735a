"""Makes the machine image: a Debian root directory by mmdebstrap, used read-only below each instance's own files."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
from collections.abc import Callable
from pathlib import Path

from islanding.errors import SetupError
from islanding.lab.parts.apt import mirror_lines, proxy_options
from islanding.lab.parts.recipe import Recipe
from islanding.process import Result, run

BUILD_SECONDS = 60.0  # 33 s by hand on two cores; with cloud-init, haproxy and a slow mirror about a minute


def command(recipe: Recipe, root: Path, sources: Path, proxies: list[str]) -> list[str]:
    """The mmdebstrap command that makes `recipe` in `root` from the apt sources in the file `sources`."""
    argv = ["mmdebstrap", "--mode=root", "--variant=minbase", "--format=directory"]
    argv += ["--include=" + ",".join(recipe.packages), '--aptopt=Apt::Install-Recommends "false"']
    argv += [f"--aptopt={option}" for option in proxies]
    argv += [f"--dpkgopt=path-exclude={path}" for path in recipe.excluded]
    argv += [f"--dpkgopt=path-include={path}" for path in recipe.kept]
    argv += [f"--customize-hook={hook}" for hook in recipe.customize]
    return [*argv, recipe.suite, str(root), *([str(sources)] if sources.read_text().strip() else [])]


def build(recipe: Recipe, work: Path, runner: Callable[[list[str]], Result]) -> Path:
    """Make the image below `work` (a folder of its own, on the cache's filesystem); returns its root directory.

    `runner` runs one command; raises SetupError with mmdebstrap's last words when the image cannot be made.
    """
    root, sources = work / "root", work / "sources.list"
    work.mkdir(parents=True, exist_ok=True)
    sources.write_text("".join(f"{line}\n" for line in mirror_lines(recipe.suite)))
    result = runner(command(recipe, root, sources, proxy_options()))
    if not result.ok:
        last = "\n  ".join(result.stderr.strip().splitlines()[-6:])
        raise SetupError(
            f"the machine image could not be made: mmdebstrap failed\n  {last}",
            "Check that `apt-get update` works and that 2 GB are free, then run `islanding setup` again.",
        )
    finish(recipe, root)
    sources.unlink()
    return root


def finish(recipe: Recipe, root: Path) -> None:
    """Write the recipe's files and masks into `root` and take out what the building machine left there."""
    for path in recipe.remove:
        _remove(root / path)
    (root / "etc/apt/sources.list.d").mkdir(parents=True, exist_ok=True)
    (root / "var/cache/apt/archives/partial").mkdir(parents=True, exist_ok=True)
    for name in recipe.directories:
        (root / name).mkdir(parents=True, exist_ok=True)
    for name, text in recipe.files.items():
        target = root / name
        _remove(target)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
        target.chmod(recipe.modes.get(name, 0o644))
    units = root / "etc/systemd/system"
    for wants in units.glob("*.wants"):
        for unit in recipe.disabled:
            (wants / unit).unlink(missing_ok=True)
    for unit in recipe.masked:
        _remove(units / unit)
        (units / unit).symlink_to("/dev/null")
    # Stamps newer than /usr tell systemd that nothing was updated: else it runs ldconfig at each instance's first boot.
    newest = (root / "usr").stat().st_mtime_ns + 1_000_000_000
    for stamp in ("etc/.updated", "var/.updated"):
        (root / stamp).touch()
        os.utime(root / stamp, ns=(newest, newest))


def packages(root: Path) -> dict[str, str]:
    """Name and version of each Debian package in the image, from its dpkg database."""
    result = run(["dpkg-query", f"--admindir={root}/var/lib/dpkg", "-W", "-f", "${Package} ${Version}\n"])
    return dict(line.split(" ", 1) for line in result.stdout.splitlines())


def tree_hash(root: Path) -> str:
    """SHA-256 over name, mode, owner, size and modification time of all below `root`: notices any ordinary change."""
    digest = hashlib.sha256()
    for folder, names, files in os.walk(root):
        names.sort()
        for name in sorted(names + files):
            path = f"{folder}/{name}"
            info = os.lstat(path)
            # A directory's own time changes when an overlay or a mount uses it; what it holds is listed anyway.
            when = 0 if stat.S_ISDIR(info.st_mode) else info.st_mtime_ns
            size = 0 if stat.S_ISDIR(info.st_mode) else info.st_size
            shown = path[len(str(root)) :]
            digest.update(json.dumps([shown, info.st_mode, info.st_uid, info.st_gid, size, when]).encode())
    return digest.hexdigest()


def discard(work: Path) -> None:
    """Remove a half-made image, with whatever a killed mmdebstrap left mounted in it."""
    mounts = [line.split()[4] for line in Path("/proc/self/mountinfo").read_text().splitlines()]
    for mount in sorted((m for m in mounts if m.startswith(f"{work}/")), reverse=True):
        run(["umount", "--lazy", mount], check=False)
    shutil.rmtree(work, ignore_errors=True)


def _remove(path: Path) -> None:
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)
    else:
        path.unlink(missing_ok=True)
