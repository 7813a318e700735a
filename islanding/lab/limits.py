"""The kernel's limit on inotify instances, which counts for all machines of all labs together: raised where it is low.

A machine's systemd, containerd, kubelet and API server hold 10 to 20 instances; a lab of six machines 113 (measured
2026-11-21). The kernel's default is 128 for each user, in whatever namespaces the processes run (inotify(7)), so a
second lab would fail with "too many open files" in places that do not say why.
"""

from __future__ import annotations

from pathlib import Path

from islanding.errors import SetupError

INOTIFY = Path("/proc/sys/fs/inotify/max_user_instances")
WANTED = 1024  # eight such labs
NEEDED = 256  # two labs of the size of the reference sites


def raise_inotify(setting: Path = INOTIFY, wanted: int = WANTED, needed: int = NEEDED) -> None:
    """Raise the limit to `wanted` where it is lower; it stays so until the next boot of this machine.

    Raises SetupError when it is lower than `needed` and may not be raised, as in some containers.
    """
    now = int(setting.read_text())
    if now >= wanted:
        return
    try:
        setting.write_text(f"{wanted}\n")
    except OSError as error:
        if now < needed:
            raise SetupError(
                f"the kernel allows {now} inotify instances, and the lab's machines need {needed}; "
                f"it cannot be raised from here ({error.strerror})",
                f"on the host: sysctl -w fs.inotify.max_user_instances={wanted}",
            ) from error
