"""What is run on a schedule: the command, its calendar and surroundings, quoted for whoever starts it; pure."""

from __future__ import annotations

import re
import shlex
from dataclasses import dataclass

from islanding.errors import ExitCode, SetupError
from islanding.schedule.calendar import Calendar

CONFIG = "/config"  # where the files of a pod's configuration are
_NAME = re.compile(r"[a-z0-9]([-a-z0-9]{0,30}[a-z0-9])?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f]")


@dataclass(frozen=True)
class Order:
    """One schedule.

    `arguments` are those of `islanding`, beginning with `run`; `seconds` the longest that a run may take; `delay` the
    seconds by which systemd may put it off; `grace` the seconds after which a run that has not begun is overdue.
    """

    name: str
    calendar: Calendar
    arguments: tuple[str, ...] = ("run",)
    program: str = "islanding"
    user: str = ""
    image: str = "islanding:latest"
    namespace: str = "islanding"
    config_names: tuple[str, ...] = ()
    seconds: int = 6 * 3600
    delay: int = 300
    grace: int = 3600

    def __post_init__(self) -> None:
        for what, name in (("name", self.name), ("namespace", self.namespace)):
            if not _NAME.fullmatch(name):
                raise SetupError(f"{what} {name!r} is none", "lower-case letters, digits and hyphens, at most 32")
        if self.arguments[:1] != ("run",):
            raise SetupError("what is scheduled is a run", "give its arguments after `--`: -- run --site NAME")
        for word in (*self.arguments, self.program, self.image, self.user):
            if _CONTROL.search(word):
                raise SetupError(f"{word!r} has a control character in it")
        if not 60 <= self.seconds <= 7 * 86400:
            raise SetupError(f"a run of {self.seconds} s", "between a minute and a week")

    @property
    def command(self) -> tuple[str, ...]:
        """The arguments, with the schedule's own: which it is, and when it is due."""
        given = ("--schedule", self.name, "--calendar", self.calendar.text)
        return (self.arguments[0], *given, *self.arguments[1:])

    @property
    def lab(self) -> bool:
        """Whether the run makes its sites in a lab of its own."""
        words = list(self.arguments)
        named = [b for a, b in zip(words, [*words[1:], ""], strict=True) if a == "--target"]
        return "aws" not in named and "--target=aws" not in words

    def crontab_line(self) -> str:
        """The command for a crontab, where a percent sign would end it (crontab(5))."""
        code = int(ExitCode.BUSY)
        lock = f'flock --nonblock --conflict-exit-code {code} "$HOME/.islanding-{self.name}.lock"'
        return f"{lock} {shlex.join([self.program, *self.command])}".replace("%", r"\%")

    def unit_line(self) -> str:
        """The command for ExecStart= (systemd.service(5), Command lines): quoted, `%` and `$` doubled."""
        return " ".join(map(_unit_word, (self.program, *self.command)))

    def pod_command(self) -> list[str]:
        """The arguments of a container, where `$(NAME)` would be replaced (Kubernetes, container's args)."""
        return [word.replace("$(", "$$(") for word in self.command]

    def ci_line(self) -> str:
        """The command as a line of shell; raises SetupError for what the CI system would replace in it."""
        if any("${{" in word for word in self.command):
            raise SetupError("an argument holds '${{', which GitHub would replace", "give it by a file or a variable")
        return shlex.join(["islanding", *self.command])


def _unit_word(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    plain = re.fullmatch(r"[\w@%+=:,./-]+", escaped, re.ASCII)
    return escaped if plain else f'"{escaped}"'
