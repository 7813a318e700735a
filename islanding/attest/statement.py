"""The in-toto statement that is signed, read: its subjects by name, and what it says of the tests.

After github.com/in-toto/attestation: spec/v1/statement.md and spec/predicates/test-result.md.
"""

from __future__ import annotations

import json
from typing import Any

TYPE = "https://in-toto.io/Statement/v1"
PREDICATE = "https://in-toto.io/attestation/test-result/v0.1"


def subjects(payload: bytes) -> dict[str, str]:
    """The SHA-256 of each subject by its name; raises ValueError for a payload that is no statement of this kind."""
    try:
        body = json.loads(payload)
        if (body["_type"], body["predicateType"]) != (TYPE, PREDICATE):
            raise ValueError("the signed text is no in-toto statement of a test result")
        return {str(each["name"]): str(each["digest"]["sha256"]) for each in body["subject"]}
    except (KeyError, TypeError, AttributeError, RecursionError) as error:
        raise ValueError("the signed text is no in-toto statement of a test result") from error


def predicate(payload: bytes) -> dict[str, Any]:
    """The predicate of a statement that `subjects` has accepted."""
    body: dict[str, Any] = json.loads(payload)["predicate"]
    return body
