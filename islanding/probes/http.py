"""HTTP to the workload over a new connection each time, so that no earlier connection hides a cut path."""

from __future__ import annotations

import http.client
from collections.abc import Callable
from dataclasses import dataclass
from typing import ClassVar
from urllib.parse import urlsplit

from islanding.errors import SetupError
from islanding.probes.at_place import AtPlace, look
from islanding.probes.base import Reading
from islanding.probes.tcp import network_error

_BODY_SHOWN = 80
_WAIT = 2.0  # seconds for a try at a place that is entered anew with each sample; getting there comes before


@dataclass(frozen=True, kw_only=True)
class Http(AtPlace):
    """GET `url` over a new connection; a status below 400 is an answer.

    Where the place is entered by SSH, each sample enters it anew, within `timeout`.
    """

    kind: ClassVar[str] = "http"

    url: str
    interval: float = 0.1
    timeout: float = 2.0
    overlap: int = 30

    def __post_init__(self) -> None:
        super().__post_init__()
        parts = urlsplit(self.url)
        if parts.scheme != "http" or not parts.hostname:
            raise SetupError(f"{self.kind} probe: cannot ask {self.url!r}", "give a URL like http://10.0.3.10/")

    def target(self) -> str:
        """What is probed."""
        return self.url

    def command(self) -> str:
        """What a person would type."""
        return f"curl --no-keepalive --max-time {self.timeout:g} {self.url}"

    def connection(self) -> http.client.HTTPConnection:
        """A connection that is not yet open; its time limit holds for connecting and for each read."""
        parts = urlsplit(self.url)
        return http.client.HTTPConnection(parts.hostname or "", parts.port or 80, timeout=self.timeout)

    def ask(self, connection: http.client.HTTPConnection, keep: bool) -> tuple[Reading, bool]:
        """One request over an open connection: the reading, and whether the server lets the connection live on.

        Raises OSError or http.client.HTTPException when the connection fails.
        """
        parts = urlsplit(self.url)
        path = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        connection.request("GET", path, headers={"Connection": "keep-alive" if keep else "close"})
        answer = connection.getresponse()
        body = answer.read().decode(errors="replace").strip()
        first_line = body.splitlines()[0][:_BODY_SHOWN] if body else ""
        text = f"HTTP {answer.status} {answer.reason}: {first_line}"
        return Reading(0 if answer.status < 400 else 1, text), not answer.will_close

    def sample(self) -> Reading:
        """Connect, ask, read the whole answer, close."""
        if self.enter:
            return self._from_afar()
        connection = self.connection()
        try:
            failed = attempt("connect", connection.connect)
            if failed:
                return failed
            readings: list[Reading] = []
            return attempt("answer", lambda: readings.append(self.ask(connection, keep=False)[0])) or readings[0]
        finally:
            connection.close()

    def _from_afar(self) -> Reading:
        parts = urlsplit(self.url)
        seen = look(self, "http", parts.hostname or "", parts.port or 80, _WAIT, self.timeout)
        refused = seen.exit_code == 0 and not seen.text.startswith(("HTTP 1", "HTTP 2", "HTTP 3"))
        return Reading(1, seen.text) if refused else seen


def attempt(phase: str, action: Callable[[], object]) -> Reading | None:
    """None when `action` succeeds, else the reading of its failure in that phase."""
    try:
        action()
    except http.client.RemoteDisconnected as gone:
        return Reading(1, f"{phase}: {gone}")
    except OSError as error:
        return Reading(1, network_error(phase, error))
    except http.client.HTTPException as broken:
        return Reading(1, f"{phase}: closed in the middle: {type(broken).__name__} {broken}")
    return None
