"""What the probes share that look from an instance: their command runs at a place by SSH, as a person's would.

No sampler runs at an instance. It runs here, and enters the place anew with each sample.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from typing import TYPE_CHECKING, Any

from islanding.probes import command
from islanding.probes.base import Probe, Reading
from islanding.probes.command import Output

if TYPE_CHECKING:
    from islanding.model import Place

# A user that is not root gets there by sudo, where it is set up; PATH may lack the admin folders.
_AS_ROOT = 'PATH="$PATH:/usr/sbin:/sbin"; export PATH; [ "$(id -u)" = 0 ] && exec "$@"; exec sudo -n -- "$@"'


@dataclass(frozen=True, kw_only=True)
class AtPlace(Probe):
    """A probe whose commands run at a place: `enter`, `by_ssh` and `env` are the place's (islanding.model.Place).

    `at` is the place's name, for the lane and the report.
    """

    at: str = ""
    enter: tuple[str, ...] = ()
    by_ssh: bool = False
    env: dict[str, str] = field(default_factory=dict)

    def do(self, argv: Sequence[str], timeout: float, *, stdin: str | None = None) -> Output:
        """Run a command at the place for at most `timeout` seconds."""
        return command.run(through(self.enter, argv, by_ssh=self.by_ssh, env=self.env), max(timeout, 0.1), stdin=stdin)

    def do_as_root(self, argv: Sequence[str], timeout: float, *, stdin: str | None = None) -> Output:
        """The same as root."""
        return self.do(as_root(argv), timeout, stdin=stdin)

    def shown_at(self, argv: Sequence[str]) -> str:
        """A command as a report shows it: with the place before it."""
        return f"{self.at}$ {shlex.join(argv)}" if self.at else shlex.join(argv)


def through(
    enter: Sequence[str], argv: Sequence[str], *, by_ssh: bool, env: Mapping[str, str] | None = None
) -> list[str]:
    """The whole argument vector with which a command runs at a place, as islanding.model.Place makes it.

    Not asked of Place itself, whose import takes longer than all the rest of a sampler.
    """
    inner = [*(["env", *(f"{key}={value}" for key, value in env.items())] if env else []), *argv]
    return [*enter, shlex.join(inner)] if by_ssh else [*enter, *inner]


def as_root(argv: Sequence[str]) -> list[str]:
    """A command that becomes root first."""
    return ["sh", "-c", _AS_ROOT, "sh", *argv]


def of_place(place: Place) -> dict[str, Any]:
    """The parameters of an AtPlace probe that looks from `place`."""
    return {"at": place.name, "enter": place.enter, "by_ssh": place.by_ssh, "env": dict(place.env)}


def not_entered(done: Output) -> bool:
    """Whether it was ssh itself that failed, not the command: its exit code is 255, ssh(1)."""
    return done.exit_code == 255


def said(done: Output) -> str:
    """What a command said, on standard error before standard output."""
    return "\n".join(text for text in (done.stderr.strip(), done.stdout.strip()) if text)


def lines(text: str, limit: int = 20) -> str:
    """The last `limit` lines that are not empty."""
    return os.linesep.join([line for line in text.splitlines() if line.strip()][-limit:])


def look(probe: AtPlace, what: str, host: str, port: int, wait: float, entering: float) -> Reading:
    """One try of `what` by the looker at the probe's place; `entering` are the seconds that getting there may take."""
    argv = ["python3", "-", what, host, str(port), f"{wait:g}"]
    done = probe.do(as_root(argv) if what == "icmp" else argv, min(probe.timeout, wait + entering), stdin=_looker())
    if done.exit_code in (0, 1) and done.stdout:
        return Reading(done.exit_code, done.stdout.strip())
    reason = "cannot be entered" if not_entered(done) else "cannot look"
    return Reading(done.exit_code, f"{probe.at or 'this machine'} {reason}: {said(done)}")


def _looker() -> str:
    return files("islanding.probes").joinpath("looker.py").read_text(encoding="utf-8")
