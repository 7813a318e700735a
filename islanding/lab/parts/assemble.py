"""Brings the parts together: finds what is missing or damaged, gets it step by step, keeps each step's result."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from islanding.errors import SetupError
from islanding.lab.parts import apt, instance_types, machine_image, oci, upstream
from islanding.lab.parts.cache import Shelf, lock, read_json, write_json
from islanding.lab.parts.download import DownloadProvider
from islanding.lab.parts.found import LIMITS, Layout, Parts, collect, layout
from islanding.lab.parts.gobuild import GoProvider
from islanding.lab.parts.pins import PartSet
from islanding.lab.parts.progress import Reporter, Step
from islanding.lab.parts.providers import CacheProvider, FolderProvider, Provider, Unavailable, user_folder
from islanding.lab.parts.runner import stream
from islanding.process import Result

COLD_BUILD_BYTES = 16 * 1024**3  # measured: 4.6 GB modules, 6.8 GB build cache, 1.8 GB results, and room for linking
WARM_BYTES = 2 * 1024**3


@dataclass(frozen=True)
class Task:
    """A step and what it does; the result says how it was done."""

    step: Step
    act: Callable[[], str]


def ensure(
    progress: Reporter, *, source: Path | None = None, download: bool = True, cache: Path | None = None
) -> Parts:
    """Make every part be there and whole, and return where they are.

    `source` is a folder with binaries (default: $ISLANDING_PARTS); `download` allows official release sites; `cache`
    replaces the user's cache folder. What is finished stays finished: an interrupted run goes on where it was. Raises
    SetupError when not root, when another set-up is at work, or when a part can be had from nowhere.
    """
    if os.geteuid() != 0:
        raise SetupError(
            "setting up needs root: it installs packages and makes a machine image", "Run: sudo islanding setup"
        )
    folder = user_folder(source)
    place = layout(cache)
    with lock(place.cache):
        sweep(place)
        for name in drop_damaged(place):
            progress.say(f"{name} in the cache was damaged: it is replaced")
        tasks = _tasks(place, chain(place, folder, download), file_chain(place, folder), progress)
        progress.plan([task.step for task in tasks])
        for task in tasks:
            progress.start(task.step)
            progress.finish(task.step, task.act())
        return collect(place)


def chain(place: Layout, folder: Path | None, download: bool) -> list[Provider]:
    """The providers in the order in which they are asked."""
    first: list[Provider] = [FolderProvider(folder)] if folder else []
    first.append(CacheProvider(place.cache / "parts", place.binaries.folder))
    if download:
        first.append(DownloadProvider())
    return [*first, GoProvider(place.cache)]


def file_chain(place: Layout, folder: Path | None) -> list[Provider]:
    """The providers of other projects' files in the order in which they are asked."""
    first: list[Provider] = [FolderProvider(folder)] if folder else []
    return [
        *first,
        CacheProvider(place.cache / "manifests", place.upstream.folder),
        upstream.ModuleProvider(place.cache),
    ]


def drop_damaged(place: Layout) -> list[str]:
    """Take out of the cache what differs from its hash, and return the names."""
    names: list[str] = []
    for shelf in (place.binaries, place.upstream, place.archives):
        for item in shelf.damaged():
            shelf.drop(item.name)
            names.append(item.name)
    if place.image.exists() and not image_whole(place):
        if place.image_ready():
            names.append("the machine image")
        machine_image.discard(place.image)
    return names


def image_whole(place: Layout) -> bool:
    """Whether each file of the machine image is as it was when the image was made."""
    noted = read_json(place.image / "manifest.json").get("tree")
    return bool(noted) and noted == machine_image.tree_hash(place.image / "root")


def sweep(place: Layout) -> None:
    """Remove the working folders of set-ups that died; the lock says that none is alive."""
    for work in place.cache.glob("work-*"):
        machine_image.discard(work)


def prune(place: Layout) -> list[Path]:
    """Remove parts of other pins, other images and the build caches; returns what was removed."""
    keep = {place.binaries.folder, place.image, place.archives.folder, place.upstream.folder}
    kinds = ("parts", "images", "oci", "manifests")
    found = [path for kind in kinds for path in (place.cache / kind).glob("*") if path not in keep]
    found += [path for path in (place.cache / "go-mod", place.cache / "go-build") if path.is_dir()]
    for path in found:
        machine_image.discard(path)
    return found


def _tasks(
    place: Layout, providers: Sequence[Provider], file_providers: Sequence[Provider], progress: Reporter
) -> list[Task]:
    """Only what is missing: a complete cache gives no task, and so needs no network."""
    tasks: list[Task] = []
    tools = apt.missing_tools()
    if tools:
        packages = ", ".join(sorted({tool.package for tool in tools}))
        tasks.append(Task(Step("packages", f"Debian packages: {packages}", 20), partial(_packages, tools, progress)))
    lacks = place.missing_binaries()
    for part in place.sets:
        if part.name in lacks:
            seconds = _expected_seconds(place, part) * len(lacks[part.name]) / len(part.binaries)
            step = Step(part.name, f"{part.name} {part.version}", seconds)
            tasks.append(Task(step, partial(_binaries, place, part, lacks[part.name], providers, progress)))
    files = place.missing_files()
    for part in place.file_sets:
        if part.name in files:
            step = Step(part.name, f"{part.name} {part.version}", part.seconds)
            tasks.append(Task(step, partial(_files, place, part, files[part.name], file_providers, progress)))
    if files or not place.limits_ready():
        tasks.append(Task(Step(LIMITS, "table of instance types", 0.5), partial(_limits, place)))
    if not place.image_ready():
        step = Step("image", "machine image", machine_image.BUILD_SECONDS)
        tasks.append(Task(step, partial(_image, place, progress)))
    if place.missing_archives():
        tasks.append(Task(Step("oci", "container images", oci.BUILD_SECONDS), partial(_archives, place, progress)))
    if tasks:
        _need_room(place, building=bool(lacks))
    return tasks


def _expected_seconds(place: Layout, part: PartSet) -> float:
    return part.seconds * (0.3 if (place.cache / "go-build").is_dir() else 1.0)


def _need_room(place: Layout, *, building: bool) -> None:
    cold = building and not (place.cache / "go-build").is_dir()
    needed, free = COLD_BUILD_BYTES if cold else WARM_BYTES, shutil.disk_usage(place.cache).free
    if free < needed:
        raise SetupError(
            f"{place.cache} has {free / 1024**3:.1f} GB free, setting up needs {needed / 1024**3:.0f} GB",
            "Free some, or name another place: export ISLANDING_CACHE=DIR",
        )


def _packages(tools: list[apt.HostTool], progress: Reporter) -> str:
    apt.install(tools, lambda argv: stream(argv, progress, disposable=False))
    left = apt.missing_tools()
    if left:
        raise SetupError(
            f"commands are still missing: {', '.join(tool.command for tool in left)}",
            f"Run: {apt.install_command(left)}",
        )
    return "installed by apt"


def _binaries(
    place: Layout, part: PartSet, wanted: list[str], providers: Sequence[Provider], progress: Reporter
) -> str:
    return _fetch(place, place.binaries, part, wanted, providers, progress, mode=0o755)


def _files(place: Layout, part: PartSet, wanted: list[str], providers: Sequence[Provider], progress: Reporter) -> str:
    return _fetch(place, place.upstream, part, wanted, providers, progress, mode=0o644)


def _fetch(
    place: Layout,
    shelf: Shelf,
    part: PartSet,
    wanted: list[str],
    providers: Sequence[Provider],
    progress: Reporter,
    *,
    mode: int,
) -> str:
    """Ask each provider for what is still wanted; each file goes into the cache as soon as it is there."""
    left, how, reasons = list(wanted), [], []
    for provider in providers:
        if not left:
            break
        with _work(place) as work:
            try:
                found = provider.fetch(part, left, work, progress)
            except Unavailable as reason:
                reasons.append(f"{provider.name}: {reason}")
                continue
            for name, path in found.items():
                shelf.put(path, name, version=part.version, key=part.key, provider=provider.name, mode=mode)
        left = [name for name in left if name not in found]
        how.append(provider.name)
    if left:
        raise SetupError(f"{part.name}: nobody has {', '.join(left)} ({'; '.join(reasons)})", "Run `islanding doctor`.")
    return ", ".join(how)


def _limits(place: Layout) -> str:
    source, listed = ((place.upstream.files / name).read_text() for name in (upstream.LIMITS_GO, upstream.MAX_PODS))
    found = instance_types.parse(source, listed)
    with _work(place) as work:
        (work / LIMITS).write_text(instance_types.to_json(found))
        key = place.upstream.folder.name
        place.upstream.put(work / LIMITS, LIMITS, version="", key=key, provider="derived here", mode=0o644)
    return f"{len(found)} types out of the VPC CNI's own table"


def _image(place: Layout, progress: Reporter) -> str:
    with _work(place) as work:
        root = machine_image.build(place.recipe, work / "image", partial(_stream, progress))
        noted = {
            "recipe": place.recipe.key,
            "packages": machine_image.packages(root),
            "tree": machine_image.tree_hash(root),
        }
        write_json(work / "image" / "manifest.json", noted)
        place.image.parent.mkdir(parents=True, exist_ok=True)
        (work / "image").rename(place.image)
    return f"{len(noted['packages'])} Debian packages by mmdebstrap"


def _archives(place: Layout, progress: Reporter) -> str:
    with _work(place) as work:
        tree = oci.unpack(work / "packages", partial(_stream, progress))
        versions = oci.versions(tree)
        made = oci.write_images(work / "images", oci.contents(place.binaries.files, place.upstream.files, tree))
        tags = {name: image.tag for name, image in oci.all_images(oci.Contents()).items()}
        for name, path in made.items():
            with_nginx = Path(name).name.startswith(("nginx", "uncached"))
            version = f"nginx {versions.get('nginx', 'unknown')}" if with_nginx else tags.get(name, "")
            place.archives.put(path, name, version=version, key=place.oci_key, provider="written here", mode=0o644)
    return f"{len(made) - 1} images, nginx {versions.get('nginx', '')} among them, written without an engine"


def _stream(progress: Reporter, argv: list[str]) -> Result:
    return stream(argv, progress)


@contextmanager
def _work(place: Layout) -> Iterator[Path]:
    """A working folder on the cache's filesystem, so that a finished thing moves into place by one rename."""
    work = Path(tempfile.mkdtemp(prefix="work-", dir=place.cache))
    try:
        yield work
    finally:
        machine_image.discard(work)
