"""Writes container images offline: an OCI layout in one tar, the same bytes each time, for `ctr images import`."""

from __future__ import annotations

import hashlib
import io
import json
import platform
import tarfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
_CONFIG = "application/vnd.oci.image.config.v1+json"
_INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"  # not compressed: a transfer on one machine gains nothing by it
_ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True)
class Entry:
    """One file of a layer: a directory when neither `data` nor `link` is given, a symbolic link when `link` is."""

    path: str
    data: bytes | None = None
    link: str | None = None
    mode: int = 0o755


@dataclass(frozen=True)
class Image:
    """A container image: its full name (`registry/name:tag`), its layers from the lowest up, and how it is run."""

    name: str
    layers: tuple[tuple[Entry, ...], ...]
    entrypoint: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[str, ...] = ()
    stop_signal: str = "SIGTERM"
    user: str = ""
    working_dir: str = "/"

    @property
    def repository(self) -> str:
        """The name without its tag."""
        return self.name.rsplit(":", 1)[0]

    @property
    def tag(self) -> str:
        return self.name.rsplit(":", 1)[1]

    @property
    def file_name(self) -> str:
        """The archive's name: the last part of the image's name with its tag, as in `nginx-1.tar`."""
        return self.name.rsplit("/", 1)[-1].replace(":", "-") + ".tar"


def architecture(machine: str = platform.machine()) -> str:
    """The architecture of this machine as OCI and Go name it."""
    return _ARCHITECTURES.get(machine, machine)


def layer_tar(entries: Iterable[Entry]) -> bytes:
    """A layer as a tar: sorted, owned by root, time zero, and with each parent directory named before what it holds."""
    found = {entry.path.strip("/"): entry for entry in entries}
    for path in list(found):
        for parent in Path(path).parents:
            if str(parent) != "." and str(parent) not in found:
                found[str(parent)] = Entry(str(parent))
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for path in sorted(found):
            entry = found[path]
            info = tarfile.TarInfo(path)
            info.mode = entry.mode
            if entry.link is not None:
                info.type, info.linkname, info.mode = tarfile.SYMTYPE, entry.link, 0o777
            elif entry.data is None:
                info.type = tarfile.DIRTYPE
            else:
                info.size = len(entry.data)
            tar.addfile(info, io.BytesIO(entry.data) if entry.data is not None else None)
    return out.getvalue()


def layout(image: Image) -> dict[str, bytes]:
    """The files of the image's OCI layout (image-spec 1.0, image-layout.md), by name in the archive."""
    layers = [layer_tar(entries) for entries in image.layers]
    described = [_descriptor(layer, LAYER) for layer in layers]
    run_as: dict[str, Any] = {
        "Entrypoint": list(image.entrypoint),
        "Env": [f"{name}={value}" for name, value in sorted(image.env.items())],
        "WorkingDir": image.working_dir,
        "StopSignal": image.stop_signal,
    }
    if image.ports:
        run_as["ExposedPorts"] = {port: {} for port in image.ports}
    if image.user:
        run_as["User"] = image.user
    config = {
        "architecture": architecture(),
        "os": "linux",
        "config": run_as,
        "rootfs": {"type": "layers", "diff_ids": [layer["digest"] for layer in described]},
    }
    manifest = {"schemaVersion": 2, "mediaType": _MANIFEST, "layers": described}
    blobs = {layer["digest"]: data for layer, data in zip(described, layers, strict=True)}
    return layout_files(image.name, manifest, config, blobs)


def layout_files(
    name: str, manifest: dict[str, Any], config: dict[str, Any], layers: Mapping[str, bytes]
) -> dict[str, bytes]:
    """The files of an OCI layout from a manifest (its config is set here), a config, and layers by digest."""
    config_data = _json(config)
    described = _descriptor(config_data, _CONFIG)
    data = _json({**manifest, "config": described})
    named = {
        **_descriptor(data, _MANIFEST),
        "platform": {"architecture": architecture(), "os": "linux"},
        # containerd takes the full name from its own annotation (client/import.go); other tools read the tag.
        "annotations": {
            "io.containerd.image.name": name,
            "org.opencontainers.image.ref.name": name.rsplit(":", 1)[1],
        },
    }
    blobs = {**layers, described["digest"]: config_data, named["digest"]: data}
    return {
        **{f"blobs/{digest.replace(':', '/')}": content for digest, content in blobs.items()},
        "index.json": _json({"schemaVersion": 2, "mediaType": _INDEX, "manifests": [named]}),
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
    }


def digest(image: Image) -> str:
    """The digest of the image's manifest, `sha256:...`, as a registry and containerd show it."""
    index = json.loads(layout(image)["index.json"])
    return str(index["manifests"][0]["digest"])


def write_archive(image: Image, path: Path) -> None:
    """Write the image as a tar that `ctr images import` accepts; `path` appears whole or not at all."""
    write_files(layout(image), path)


def write_files(files: Mapping[str, bytes], path: Path) -> None:
    """Write the files of an OCI layout as one tar, the same bytes each time; `path` appears whole or not at all."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.partial")
    with tarfile.open(partial, "w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in sorted(files.items()):
            info = tarfile.TarInfo(name)
            info.size, info.mode = len(data), 0o644
            tar.addfile(info, io.BytesIO(data))
    partial.replace(path)


def _descriptor(data: bytes, media_type: str) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": f"sha256:{hashlib.sha256(data).hexdigest()}", "size": len(data)}


def pause(binary: bytes) -> Image:
    """The image of a pod's sandbox: one program that waits."""
    return Image("lab.local/pause:1", ((Entry("pause", binary),),), ("/pause",))


NGINX_CONF = """\
daemon off;
user www-data;
worker_processes 1;
pid /run/nginx.pid;
error_log stderr notice;
events { worker_connections 512; }
http {
    access_log /dev/stdout;
    # A probe's one long connection must end by a cut, not by a limit of the server.
    keepalive_timeout 3600s;
    keepalive_requests 10000000;
    server {
        listen 80 default_server;
        default_type text/plain;
        location / { return 200 "$hostname\\n"; }
    }
}
"""

_SHELL_TOOLS = ("sh", "cat", "echo", "hostname", "ip", "ls", "nc", "nslookup", "ping", "ps", "sleep", "wget")


def nginx(name: str, files: Sequence[Entry]) -> Image:
    """An image of the nginx in `files` (program, libraries, busybox), which answers on port 80 with its pod's name.

    The upper layer holds the tag alone, so that images of other tags share the lower one and still differ.
    """
    accounts = "root:x:0:0:root:/:/bin/sh\nwww-data:x:33:33:www-data:/:/bin/false\n"
    base = (
        *files,
        *(Entry(f"usr/bin/{tool}", link="busybox") for tool in _SHELL_TOOLS),
        Entry("etc/nginx/nginx.conf", NGINX_CONF.encode(), mode=0o644),
        Entry("etc/passwd", accounts.encode(), mode=0o644),
        Entry("etc/group", b"root:x:0:\nwww-data:x:33:\n", mode=0o644),
        *(Entry(folder) for folder in ("run", "var/lib/nginx", "var/log/nginx")),
        Entry("tmp", mode=0o1777),
    )
    upper = (Entry("etc/image-name", f"{name}\n".encode(), mode=0o644),)
    path = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return Image(name, (base, upper), ("/usr/sbin/nginx",), path, ("80/tcp",), stop_signal="SIGQUIT")


def _json(value: object) -> bytes:
    return json.dumps(value, sort_keys=True, separators=(",", ":")).encode()
