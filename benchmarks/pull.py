"""A large image through its endpoints, TLS, token and redirect, and a plain copy of the same bytes: for `throwaway`."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Callable
from contextlib import contextmanager
from pathlib import Path

from benchmarks import throwaway
from benchmarks.figure import milliseconds
from islanding.lab import archives, namespaces
from islanding.lab.kernel import inside
from islanding.process import run
from tests.lab import packets
from tests.lab.pulling import Site, serving, unseen

PORT = 8080
ADDRESS = "10.0.1.200"


def main() -> None:
    """`python -m benchmarks.pull FOLDER ROUNDS MEGABYTES`, in namespaces of its own."""
    folder, rounds, megabytes = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    throwaway.prepare(folder)
    with contextmanager(packets.world)(folder) as world, serving(world, folder) as site:
        ways = measure(site, megabytes, rounds)
        throwaway.report(ways=ways)


def measure(site: Site, megabytes: int, rounds: int) -> dict[str, list[float]]:
    """Milliseconds of each way, round by round, the ways in turns.

    A plain copy between the two namespaces, kept on disk; the layer by curl (registry, redirect, S3, TLS); the image
    by skopeo, which verifies it; and the same image by skopeo from folder to folder, without any network.
    """
    site.world.client("ecr").create_repository(repositoryName="app")
    image = unseen(site, megabytes)
    pushed = site.push(image, "app:v1")
    if pushed.returncode:
        raise SystemExit(pushed.stderr)
    with archives.opened(image.archive) as archive:
        blob = archive.blobs[-1]
        content = archive.read(blob)
    server = Plain(site, content)
    token = site.token()
    folders = iter(range(10_000))
    blob_url = f"https://{site.host}/v2/app/blobs/{blob.digest}"
    curl = ["curl", "-sSfL", "--cacert", str(site.folder / "ca.pem"), "-o", str(site.folder / "blob"), "-u"]

    def pull() -> None:
        done = site.pull(f"{site.host}/app:v1", f"out{next(folders)}", token)
        if done.returncode:
            raise SystemExit(done.stderr)

    def fetch() -> None:
        done = site.run(*curl, f"AWS:{token}", blob_url)
        if done.returncode or (site.folder / "blob").stat().st_size != blob.size:
            raise SystemExit(done.stderr)

    pull()
    kept = f"oci:{site.folder / 'out0'}:got"

    def again() -> None:
        done = site.copy(kept, f"oci:{site.folder / f'copy{next(folders)}'}:got")
        if done.returncode:
            raise SystemExit(done.stderr)

    ways: dict[str, Callable[[], object]] = {
        "copy": server.fetch,
        "layer": fetch,
        "image": pull,
        "folders": again,
    }
    taken: dict[str, list[float]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, way in ways.items():
            taken[name].append(milliseconds(way))
    server.close()
    return taken


class Plain:
    """The bytes by HTTP in the clear from another instance's namespace, through the same router, to the same disk."""

    def __init__(self, site: Site, content: bytes) -> None:
        self._site = site
        self._content = content
        site.world.allow(site.group, "10.0.0.0/16", port=PORT)
        other = site.world.instance(site.subnet, site.group, ADDRESS)
        self._listener = namespaces.listener_in(other, ADDRESS, PORT)
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                taken, _ = self._listener.accept()
            except OSError:
                return
            with taken:
                taken.recv(65536)
                taken.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self._content))
                taken.sendall(self._content)

    def fetch(self) -> None:
        """Fetch it once."""
        target = str(self._site.folder / "plain")
        run(inside(self._site.instance, ["curl", "-sSf", "-o", target, f"http://{ADDRESS}:{PORT}/"]))

    def close(self) -> None:
        """Stop serving."""
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()


if __name__ == "__main__":
    main()
