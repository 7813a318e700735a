"""HTTP over one long-lived connection, as a browser or a connection pool keeps it: shows what established flows see."""

from __future__ import annotations

import http.client
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import ClassVar

from islanding.probes.base import Reading
from islanding.probes.http import Http, attempt


@dataclass(frozen=True, kw_only=True)
class HttpStream(Http):
    """GET `url` again and again over the same connection; a new one is made only when it broke or the server ended it.

    A web server may end a connection in good order after so many requests (nginx: 1000), which is no break.
    """

    kind: ClassVar[str] = "http-stream"

    interval: float = 0.5
    overlap: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.overlap != 1:
            raise ValueError("an http-stream probe has one connection, so its overlap is 1")

    def command(self) -> str:
        """What a person would type."""
        return f"GET {self.url} over one kept connection"

    @contextmanager
    def session(self) -> Iterator[Callable[[], Reading]]:
        """Keeps the connection from tick to tick."""
        stream = _Stream(self)
        try:
            yield stream.tick
        finally:
            stream.close()


class _Stream:
    """The connection, and whether it has answered before."""

    def __init__(self, probe: HttpStream) -> None:
        self._probe = probe
        self._connection: http.client.HTTPConnection | None = None
        self._asked = 0

    def tick(self) -> Reading:
        if self._connection is None:
            connection = self._probe.connection()
            failed = attempt("connect", connection.connect)
            if failed:
                connection.close()
                return failed
            self._connection, self._asked = connection, 0
        answers: list[tuple[Reading, bool]] = []
        asked_over = self._connection
        phase = "stream" if self._asked else "answer"
        failed = attempt(phase, lambda: answers.append(self._probe.ask(asked_over, keep=True)))
        if failed:
            self.close()
            return failed
        reading, lives_on = answers[0]
        self._asked += 1
        text = f"{reading.text} (request {self._asked} of this connection)"
        if not lives_on:
            self.close()
        return Reading(reading.exit_code, text)

    def close(self) -> None:
        """Let the connection go; the next tick makes a new one."""
        if self._connection is not None:
            self._connection.close()
            self._connection = None
