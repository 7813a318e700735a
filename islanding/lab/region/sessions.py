"""Sessions of roles that AWS itself opens and renews: an instance's by its profile, and those of AWS's own services."""

from __future__ import annotations

import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from islanding.lab.region import inside
from islanding.lab.region.http import Request, Response
from islanding.lab.region.principals import Principal
from islanding.lab.region.seed import Seed, SessionCredentials
from islanding.lab.system_images import ACCOUNT as SYSTEM

OWN_ROLE = "AWSServiceRole"  # as which AWS's services call each other
_SECONDS = 6 * 3600
_RENEWED = timedelta(hours=1)  # before it ends


class Sessions:
    """The sessions of one account; `handle` answers what AWS's own services ask."""

    def __init__(self, seed: Seed, region: str, handle: Callable[[Request], Response]) -> None:
        self._seed = seed
        self._region = region
        self._handle = handle
        self._open: dict[tuple[str, str], SessionCredentials] = {}
        self._clients: dict[str, tuple[str, Any]] = {}  # by service: of which session, and the client
        self._own_role = ""
        self._lock = threading.RLock()

    def of_role(self, role: str, name: str) -> SessionCredentials:
        """The session of that name of a role (name or ARN), as EC2 opens it for an instance: renewed before it ends."""
        with self._lock:
            session = self._open.get((name, role))
            if session is None or session.expires - datetime.now(UTC) < _RENEWED:
                session = self._open[name, role] = self._seed.assume(role, name, _SECONDS)
            return session

    def own(self, name: str) -> SessionCredentials:
        """The session of that name in which a machine of AWS's services calls."""
        with self._lock:
            self._own_role = self._own_role or self._seed.create_role(OWN_ROLE)  # when it is first asked for
            return self.of_role(self._own_role, name)

    def own_client(self, service: str) -> Any:
        """A client of a service of the Region's own, as which it calls the others; to be asked for anew each time."""
        with self._lock:
            who = self.own("islanding")
            session, client = self._clients.get(service, ("", None))
            if session != who.access_key_id:
                client = inside.client(self._handle, service, self._region, who)
                self._clients[service] = (who.access_key_id, client)
            return client


def is_aws(principal: Principal) -> bool:
    """Whether it is one of AWS's own services that calls, or what runs in an account of AWS's."""
    return principal.account == SYSTEM or principal.role_arn.rpartition("/")[2] == OWN_ROLE
