"""Starting and ending labs from outside: spawn the guard, follow the bring-up, take the lab down, sweep the rest."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from islanding import manners as asked_manners
from islanding import siteconf, stackconf
from islanding.errors import LabError, SetupError
from islanding.journal import Event, parse
from islanding.lab import limits, parts, registry
from islanding.lab.registry import Lab
from islanding.process import dying_with_parent
from islanding.wait import WaitTimeout, wait_until

READY_TIMEOUT = 900.0  # seconds; a bring-up takes about 20 on two free cores, and as many minutes is for no lab
DOWN_TIMEOUT = 20.0
_MIN_FREE_BYTES = 2 << 30  # overlay layers, logs and etcd of one lab
_OWN_CREDENTIALS = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
_guards: dict[str, subprocess.Popen[bytes]] = {}  # of labs that this process brought up, by id: it has to reap them


def up(
    site: str,
    *,
    journal: Path | None = None,
    logs: Path | None = None,
    on_event: Callable[[Event], None] = lambda _event: None,
    cancelled: Callable[[], bool] = lambda: False,
    tied: bool = False,
    manners: str = "",
) -> Lab:
    """Bring a site up in a lab of its own and return it once it is ready.

    `site` is the name of a reference site, or the path of a site's folder or `site.yaml`. `journal` takes the
    bring-up's events (default: a file among the lab's logs); `logs` keeps the parts' logs (default: the lab's folder,
    from which they go to the state folder when the lab ends). `cancelled` is asked all the time: when it says True the
    bring-up ends with LabError. `tied`: the lab goes when the calling thread does, also by SIGKILL. `manners`: how the
    lab's AWS treats its callers, as `--manners` takes it; otherwise ISLANDING_MANNERS says it, or the site file.

    Raises SetupError for what the machine or the site file lacks, LabError when the lab does not come up; nothing is
    left behind then.
    """
    require_root()
    path = _site_file(site)
    overrides = asked_manners.overrides(manners)
    conf = stackconf.load(path, overrides=overrides)
    found = parts.find()
    limits.raise_inotify()
    registry.sweep()
    guard: subprocess.Popen[bytes] | None = None
    try:
        # The folder stays locked until the lab has its record: it is not to be swept up as a dead one.
        with _sigterm_raises(), registry.newborn(conf.name) as folder:
            _require_space(folder)
            if logs is not None:
                logs.mkdir(parents=True, exist_ok=True)
                (folder / "logs").rmdir()
                (folder / "logs").symlink_to(logs.absolute())
            events = journal or folder / "logs" / "events.jsonl"
            events.touch()
            request = {
                "site": conf.name,
                "site_file": str(path),
                "journal": str(events.absolute()),
                "bin_dir": str(found.bin_dir),
                "image": str(found.image),
                "oci_dir": str(found.oci_dir),
                "manifests": str(found.manifests),
                "versions": found.versions,
                "overrides": overrides,
            }
            (folder / "request.json").write_text(json.dumps(request))
            guard = _start_guard(folder, tied)
            lab = _follow(folder, conf.name, guard, events, on_event, cancelled)
            _guards[lab.id] = guard
            return lab
    except BaseException:
        _end(guard)
        raise


@contextmanager
def _sigterm_raises() -> Iterator[None]:
    """Have SIGTERM end a bring-up as Ctrl-C does, with the exit code that a shell reports for it (143).

    Where the caller has a handler of its own, or this is not the main thread, that is left as it is.
    """
    if threading.current_thread() is not threading.main_thread() or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def end(*_: object) -> None:
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        sys.exit(128 + signal.SIGTERM)

    signal.signal(signal.SIGTERM, end)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)


def _site_file(site: str) -> Path:
    """The site.yaml that is meant: a path has a slash in it, a reference site's name has none."""
    if "/" not in site:
        return siteconf.find(site)
    path = Path(site).absolute()
    path = path / siteconf.FILE if path.is_dir() else path
    if not path.is_file():
        raise SetupError(f"no site file {path}", f"the reference sites, by name: {', '.join(siteconf.names())}")
    return path


def environment() -> dict[str, str]:
    """The environment of what runs in a lab: ours without the user's own AWS credentials.

    They would be sent to the lab's AWS, which knows nothing of them, in place of the profiles of its identities.
    """
    return {name: value for name, value in os.environ.items() if name not in _OWN_CREDENTIALS}


def _start_guard(folder: Path, tied: bool) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "islanding.lab.guard", str(folder)]
    with (folder / "logs" / "guard.log").open("ab") as log:
        return subprocess.Popen(
            dying_with_parent(command) if tied else command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
            env=environment(),
        )


def _follow(
    folder: Path,
    site: str,
    guard: subprocess.Popen[bytes],
    events: Path,
    on_event: Callable[[Event], None],
    cancelled: Callable[[], bool],
) -> Lab:
    with events.open() as tail:
        tail.seek(0, os.SEEK_END)

        def look() -> Lab | LabError | None:
            for line in tail:
                event = parse(line)
                if event is not None and event.get("site") == site:
                    on_event(event)
            lab = next((lab for lab in registry.all_labs() if lab.folder == folder), None)
            if lab is not None and lab.ready:
                return lab
            if (folder / "failure.json").exists() or guard.poll() is not None:
                return _failed(folder, site)
            return LabError(f"{site} was interrupted while it came up") if cancelled() else None

        try:
            found = wait_until(f"{site} to be ready", look, timeout=READY_TIMEOUT)
        except WaitTimeout as late:
            raise LabError(f"{site} was not ready within {READY_TIMEOUT:g} s", f"logs: {folder / 'logs'}") from late
    if found is None or isinstance(found, LabError):
        raise found or LabError(f"{site} did not come up")
    return found


def _failed(folder: Path, site: str) -> LabError:
    kept = registry.kept_logs(folder)
    try:
        told = json.loads((folder / "failure.json").read_text())
    except (OSError, ValueError):
        try:
            told = json.loads((kept / "failure.json").read_text())
        except (OSError, ValueError):
            told = {"what": f"the lab of {site} ended before it was ready", "fix": ""}
    return LabError(told["what"], f"logs: {kept}")


def _end(guard: subprocess.Popen[bytes] | None) -> None:
    if guard is not None:
        guard.send_signal(signal.SIGTERM)
        try:
            guard.wait(DOWN_TIMEOUT)
        except subprocess.TimeoutExpired:
            guard.kill()
            guard.wait()
    registry.sweep()


def down(lab: Lab) -> None:
    """Take a lab down and wait until nothing of it is left; raises LabError when something stays."""
    registry.signal_lab(lab, signal.SIGTERM)
    try:
        wait_until(f"lab {lab.id} to be gone", lambda: not lab.folder.exists(), timeout=DOWN_TIMEOUT, interval=0.02)
    except WaitTimeout:
        registry.signal_lab(lab, signal.SIGKILL)
        registry.sweep()
        if lab.folder.exists():
            raise LabError(f"lab {lab.id} is not gone: {lab.folder} is still there", "islanding doctor") from None
    if guard := _guards.pop(lab.id, None):
        guard.wait(DOWN_TIMEOUT)


def require_root() -> None:
    """Raise SetupError unless this process may make namespaces and mounts."""
    if os.geteuid() != 0:
        raise SetupError("the lab needs root: it makes network namespaces, mounts and control groups", "use sudo")


def _require_space(folder: Path) -> None:
    free = os.statvfs(folder)
    if free.f_bavail * free.f_frsize < _MIN_FREE_BYTES:
        raise SetupError(
            f"only {free.f_bavail * free.f_frsize >> 20} MiB free below {folder.parent}; a lab needs 2 GiB",
            "free some space, or set ISLANDING_STATE to a folder on a larger disk",
        )
