"""A change that is asked for twice with one client token is made once, and answered alike both times.

EC2 developer guide, "Ensuring idempotency in Amazon EC2 API requests"; EKS API reference, `clientRequestToken`;
CloudFormation API reference, `ClientRequestToken`. moto
knows no such tokens: a call whose reply was lost, and which was sent again, would make a second thing.
"""

from __future__ import annotations

import json
import threading
from collections import OrderedDict
from collections.abc import Callable

from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response
from islanding.lab.region.operations import form

_KEPT = 1000  # AWS keeps them for at least 24 hours
_PARAMETERS = {"ec2": "ClientToken", "cloudformation": "ClientRequestToken"}
_MISMATCH = {"ec2": "IdempotentParameterMismatch", "cloudformation": "TokenAlreadyExistsException"}
Key = tuple[str, str, str, str]


class Tokens:
    """The replies to changes that were asked for with a token, by account."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._replies: OrderedDict[Key, tuple[str, Response]] = OrderedDict()

    def __call__(
        self, request: Request, service: str, operation: str, account: str, answer: Callable[[], Response]
    ) -> Response:
        """The reply to a change: the former one, where the same was asked for with the same token.

        Raises AwsError when something else was asked for with it.
        """
        token, asked = _token(request, service)
        if not token:
            return answer()
        key = (account, service, operation, token)
        with self._lock:
            known = self._replies.get(key)
        if known is not None and known[0] != asked:
            code = "InvalidParameterException" if service == "eks" else _MISMATCH[service]
            raise AwsError(code, "The client token was used before, with other parameters.", 400)
        if known is not None:
            return known[1]
        response = answer()
        if response.status < 400:
            with self._lock:
                self._replies[key] = (asked, response)
                while len(self._replies) > _KEPT:
                    self._replies.popitem(last=False)
        return response


def _token(request: Request, service: str) -> tuple[str, str]:
    """The token of a request, and all else that it asks for; an empty token for none."""
    if service in _PARAMETERS:
        asked = form(request)
        return dict(asked).get(_PARAMETERS[service], ""), json.dumps(sorted(asked))
    if service == "eks" and request.method == "POST":
        try:
            body = json.loads(request.body or b"{}")
        except ValueError:
            return "", ""
        return str(body.get("clientRequestToken") or ""), json.dumps(body, sort_keys=True)
    return "", ""
