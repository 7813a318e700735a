"""Now and then a call fails on AWS's side: before it took effect, or after, when only the reply is lost.

A caller cannot tell the two apart: it has to ask again in a way that does no harm (EC2 developer guide, "Ensuring
idempotency in Amazon EC2 API requests"; IAM and EC2 API references, "Common errors").
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from islanding.lab.region.errors import JSON_SERVICES, AwsError
from islanding.lab.region.http import Response

if TYPE_CHECKING:
    from islanding.lab.region.manners import Onward
    from islanding.lab.region.manners.call import Call, Chances

_JSON_FAILURES = {"eks": "ServerException", "ecr": "ServerException", "outposts": "InternalServerException"}
# What services say: (code and text of a failure, code and text when it is there for nobody).
_WORDS = {
    "ec2": (
        ("InternalError", "An internal error has occurred"),
        ("Unavailable", "The server is overloaded and can't handle the request."),
    ),
    "s3": (
        ("InternalError", "We encountered an internal error. Please try again."),
        ("ServiceUnavailable", "Please reduce your request rate."),
    ),
    "json": (
        ("InternalServerError", "Internal server error"),
        ("ServiceUnavailableException", "Service is unavailable. Please try again."),
    ),
    "query": (
        ("InternalFailure", "The request processing has failed because of an unknown error."),
        ("ServiceUnavailable", "Service is unavailable, please try again."),
    ),
}


class Failures:
    """Fails so many of all calls (`rate`, 0 to 1), one half of them after they took effect."""

    def __init__(self, rate: float, chances: Chances) -> None:
        self._rate = rate
        self._chances = chances

    def __call__(self, call: Call, onward: Onward) -> Response:
        """Answer the call, unless it is the turn of a failure."""
        if call.service == "ecr.dkr" or call.presigned:
            return onward(call.request)
        drawn = self._chances.draw(f"failure {call.service} {call.operation}")
        if drawn >= self._rate:
            return onward(call.request)
        unavailable = drawn < self._rate / 2
        if not unavailable:
            response = onward(call.request)
            if response.status >= 400:
                return response  # it took no effect: the refusal stands
            close = getattr(response.stream, "close", None)
            if close is not None:
                close()
        raise failure(call.service, unavailable=unavailable)


def failure(service: str, *, unavailable: bool) -> AwsError:
    """What a service says that fails (500), or that is there for nobody just now (503)."""
    kind = "json" if service in JSON_SERVICES - {"monitoring"} else service
    failed, away = _WORDS.get(kind, _WORDS["query"])
    code, text = away if unavailable else (_JSON_FAILURES.get(service, failed[0]), failed[1])
    return AwsError(code, text, 503 if unavailable else 500)
