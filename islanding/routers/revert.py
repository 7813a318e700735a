"""A timer on the router itself that takes a change back at the deadline, even if nobody can reach it any more.

What network engineers know as `commit confirmed`, for routers on Linux: systemd's where systemd runs, otherwise a
shell that has left its session and sleeps. Nothing is left behind by either: systemd forgets a unit that has run,
and the shell is found again by its name among the processes.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Sequence

from islanding.routers.driver import Lines, Work

# A command may have come from outside the router's PID namespace, as it does in the lab. The /proc that it finds then
# does not know it: it goes in, so that the timer ends with the router, and is found again by its name.
_INSIDE = """
script=$1; shift
[ -e /proc/self ] || exec nsenter --pid=/proc/1/ns/pid -- sh -c "$script" sh "$@"
exec sh -c "$script" sh "$@"
"""
# Process 1 is looked at, too: a network namespace that sees its host's /run must not give its timer to the host.
_SYSTEMD = '[ -d /run/systemd/system ] && [ "$(cat /proc/1/comm)" = systemd ] && command -v systemd-run >/dev/null 2>&1'
# The substitution ends once the shell has let go of its output: it has its name by then, and can be disarmed.
_ARM = f"""
if {_SYSTEMD}; then
  exec systemd-run --quiet --collect --unit="islanding-revert-$1" --on-active="$2" \\
    --timer-property=AccuracySec=100ms /bin/sh -c "$3"
fi
: "$(setsid sh -c 'exec >/dev/null 2>&1; sleep "$1"; eval "$2"' "islanding-revert-$1" "$2" "$3" </dev/null &)"
"""
# The bracket keeps the search from finding itself.
_DISARM = f"""
if {_SYSTEMD}; then systemctl stop "islanding-revert-$1.timer" 2>/dev/null; fi
for found in $(grep -lzx "islanding-revert[-]$1" /proc/[0-9]*/cmdline 2>/dev/null); do
  pid=${{found#/proc/}}; kill -s TERM -- "-${{pid%/cmdline}}" 2>/dev/null
done
exit 0
"""
_IS_ARMED = f"""
if {_SYSTEMD}; then systemctl -q is-active "islanding-revert-$1.timer" && exit 0; fi
grep -lzxq "islanding-revert[-]$1" /proc/[0-9]*/cmdline 2>/dev/null
"""


def arm(id: str, seconds: float, script: str) -> tuple[str, ...]:
    """The command that has `script` run by the router in `seconds`, unless it is disarmed before."""
    return _inside(_ARM, id, f"{max(1, round(seconds))}", script)


def disarm(id: str) -> tuple[str, ...]:
    """The command that takes the timer away; it succeeds when there is none, or when it has run."""
    return _inside(_DISARM, id)


def is_armed(id: str) -> tuple[str, ...]:
    """The command that succeeds while the timer is there."""
    return _inside(_IS_ARMED, id)


def script(undo: Iterable[Work], shell: Sequence[str]) -> str:
    """A shell script that does the work of an inverse, each piece even if another fails; `shell` is FRR's, there."""
    return "\n".join(["PATH=$PATH:/usr/sbin:/sbin", *(_line(work, shell) for work in undo)])


def _inside(text: str, *words: str) -> tuple[str, ...]:
    return ("sh", "-c", _INSIDE, "sh", text, *words)


def _line(work: Work, shell: Sequence[str]) -> str:
    if isinstance(work, Lines):
        return shlex.join([*shell, *(word for line in work.commands for word in ("-c", line))])
    given = f"printf %s {shlex.quote(work.stdin)} | " if work.stdin is not None else ""
    return given + shlex.join(work.argv)
