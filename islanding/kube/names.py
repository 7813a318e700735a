"""How a name is found by one command: another resolver or a hosts entry for that command alone, as its own mounts."""

from __future__ import annotations

import shlex


def with_files(resolver: str, *hosts: str) -> list[str]:
    """The argument vector put before a command so that it asks `resolver` and knows these lines of a hosts file.

    In a mount namespace of its own: nobody else at the place is touched. Needs root there.
    """
    lines = "".join(f"{line}\n" for line in ("127.0.0.1 localhost", *hosts))
    script = (
        "folder=$(mktemp -d) && mount -t tmpfs tmpfs $folder"
        f" && printf 'nameserver %s\\n' {shlex.quote(resolver)} > $folder/resolv.conf"
        f" && printf %s {shlex.quote(lines)} > $folder/hosts"
        " && mount --bind $folder/resolv.conf /etc/resolv.conf && mount --bind $folder/hosts /etc/hosts"
        ' && umount -l $folder && rmdir $folder && exec "$@"'
    )
    return ["unshare", "--mount", "sh", "-c", script, "sh"]
