"""One call of the API as the manners see it, and chances that come out alike in each run."""

from __future__ import annotations

import hashlib
import threading
from collections import Counter
from dataclasses import dataclass, replace

from islanding.lab.region.http import Request
from islanding.lab.region.operations import mutates
from islanding.lab.region.principals import Principal


@dataclass(frozen=True)
class Call:
    """Who calls what: `service` is the name in signatures or `ecr.dkr`, `operation` the API's name.

    `own`: one of AWS's own services calls. A request to S3 has its bucket in front of the path.
    """

    request: Request
    principal: Principal | None
    service: str
    operation: str
    presigned: bool = False
    own: bool = False

    @property
    def mutates(self) -> bool:
        """Whether the call may change something."""
        return mutates(self.operation)

    @property
    def account(self) -> str:
        """The caller's account; empty for the anonymous."""
        return self.principal.account if self.principal else ""

    def with_request(self, request: Request) -> Call:
        """The same call, asking something else."""
        return self if request is self.request else replace(self, request=request)


class Chances:
    """Chances by seed: the n-th try of a name comes out the same in each run, whatever else was tried between."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._tries: Counter[str] = Counter()
        self._lock = threading.Lock()

    def draw(self, name: str) -> float:
        """The next number of that name, at least 0 and less than 1."""
        with self._lock:
            self._tries[name] += 1
            text = f"{self._seed} {name} {self._tries[name]}"
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:7], "big") / (1 << 56)
