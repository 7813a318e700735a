"""What every driver of routers does: plan changes with their exact inverse, and read what the router says."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from islanding.errors import IslandingError

Ask = Callable[[str], str]  # takes a command that changes nothing, gives what it prints


class RouterError(IslandingError):
    """A router cannot be asked or changed as wanted: says which one, and what it printed."""


@dataclass(frozen=True)
class End:
    """A router's end of an eBGP session: its own AS number, the neighbor's address and the interface to it."""

    asn: int
    neighbor: str
    interface: str

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.neighbor


@dataclass(frozen=True)
class Neighbor:
    """A BGP neighbor as its router sees it; `state` is RFC 4271's name of it, "" when the router has no such neighbor.

    `inbound` are the filters that are in force on what it announces, in order; `group` is Junos' group of it.
    """

    state: str
    shut: bool = False
    local: str = ""
    inbound: tuple[str, ...] = ()
    group: str = ""


@dataclass(frozen=True)
class Hop:
    """A next hop of a prefix learnt by BGP that the router forwards to; `interface` may be unknown ("")."""

    prefix: str
    via: str
    interface: str = ""


@dataclass(frozen=True)
class Lines:
    """Configuration lines, entered one after the other; where a router commits, they are one commit."""

    commands: tuple[str, ...]


@dataclass(frozen=True)
class Shell:
    """A command of the machine that the router runs on, as root."""

    argv: tuple[str, ...]
    stdin: str | None = None


Work = Lines | Shell


@dataclass(frozen=True)
class Change:
    """Work that breaks something, and the work that exactly undoes it, however far the first came; `said` in words."""

    said: str
    apply: tuple[Work, ...]
    undo: tuple[Work, ...]


class RouterDriver(Protocol):
    """One kind of router. Nothing here changes a router: what is planned is done by `islanding.routers.doing`.

    `reverts` says that the router itself takes an unconfirmed change back after some minutes; the others need a timer
    on the machine that they run on.
    """

    @property
    def kind(self) -> str: ...

    @property
    def reverts(self) -> bool: ...

    def neighbor(self, ask: Ask, end: End) -> Neighbor:
        """The neighbor's state and what filters it; raises RouterError for an answer that cannot be read."""
        ...

    def hops(self, ask: Ask, *, ipv6: bool) -> list[Hop]:
        """Where the router forwards what it has learnt by BGP; raises RouterError as above."""
        ...

    def interface_is_up(self, ask: Ask, interface: str) -> bool:
        """Whether the interface is up by configuration; raises RouterError when there is none of that name."""
        ...

    def is_dropping(self, ask: Ask, end: End, id: str) -> bool:
        """Whether `drop` with that id is in force."""
        ...

    def shut(self, ask: Ask, end: End, id: str, why: str) -> Change:
        """Shut the session; the neighbor is told `why` where the router can (RFC 9003)."""
        ...

    def withdraw(self, ask: Ask, end: End, id: str, prefixes: tuple[str, ...]) -> Change:
        """No longer accept `prefixes` (all when empty) from the neighbor, whose session stays up.

        Raises RouterError when a filter is there already, beside which none can be put.
        """
        ...

    def interface_down(self, ask: Ask, end: End) -> Change:
        """Take the interface down."""
        ...

    def drop(self, ask: Ask, end: End, id: str) -> Change:
        """Drop what comes and goes over the interface, while its carrier stays."""
        ...


class Terminal(Protocol):
    """A router's command line."""

    def show(self, command: str) -> str:
        """What a command prints that changes nothing; raises RouterError when it is refused."""
        ...

    def configure(self, lines: Sequence[str], *, minutes: int, confirm: bool) -> None:
        """Enter configuration lines; see `islanding.routers.doing.enter`."""
        ...
