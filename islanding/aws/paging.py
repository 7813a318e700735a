"""Replies of AWS in all of their pages: an account that has more than fits into one reply is the usual one.

AWS may send fewer things than there are, also where no page size was asked for, and says by a token alone that there
are more (API references, at `NextToken`). So nothing that botocore can paginate is called in any other way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any


def whole(client: Any, operation: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The reply to `operation` (boto3's method name) with the things of all pages; raises what botocore raises."""
    reply: dict[str, Any]
    if client.can_paginate(operation):
        reply = client.get_paginator(operation).paginate(**arguments).build_full_result()
    else:
        reply = getattr(client, operation)(**arguments)
    return reply


def pages(client: Any, operation: str, key: str, **arguments: Any) -> Iterator[Any]:
    """The things under `key` of all pages, as they come; raises what botocore raises."""
    if not client.can_paginate(operation):
        yield from getattr(client, operation)(**arguments).get(key) or ()
        return
    for page in client.get_paginator(operation).paginate(**arguments):
        yield from page.get(key) or ()
