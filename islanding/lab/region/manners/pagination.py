"""Replies are cut to a few things with a token for the rest, also where the caller asked for no page size.

AWS may always send fewer things than asked for, and a token says alone whether there are more (API references, at
`NextToken`). What a page is, is said by the paginators of botocore's service models. EC2 cuts no call that names ids.
"""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from botocore.loaders import Loader
from botocore.model import ServiceModel

from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response
from islanding.lab.region.manners import xmlreply
from islanding.lab.region.operations import MODELS, form
from islanding.lab.region.signature import parameters

if TYPE_CHECKING:
    from islanding.lab.region.manners import Onward
    from islanding.lab.region.manners.call import Call

_MARK = "p1."  # of tokens that are ours
_IDS = re.compile(r"\w+Ids?\.\d+")
_S3 = frozenset({"ListObjects", "ListObjectsV2", "ListObjectVersions"})  # moto cuts these itself, if it is asked to
_ELBV2 = "2015-12-01"


@dataclass(frozen=True)
class Pages:
    """How an operation tells its pages: names of the token in and out, of the list, and of the mark that there is more.

    Each as it is on the wire; `body`: whether the token is sent in a JSON body.
    """

    token_in: str
    token_out: str
    items: str
    more: str = ""
    body: bool = False


class Pagination:
    """Cuts replies to `size` things."""

    def __init__(self, size: int) -> None:
        self._size = size

    def __call__(self, call: Call, onward: Onward) -> Response:
        """One page of the reply to a call; raises AwsError for a token that is none."""
        if call.service == "s3":
            return onward(_fewer_keys(call.request, self._size) if call.operation in _S3 else call.request)
        pages = pages_of(_model(call), call.operation)
        if pages is None or (call.service == "ec2" and any(_IDS.fullmatch(name) for name, _ in form(call.request))):
            return onward(call.request)
        given = _given(call.request, pages)
        inner, offset = _read(given)
        response = onward(_asking(call.request, pages, inner) if given.startswith(_MARK) else call.request)
        if response.status >= 400 or response.stream is not None:
            return response
        if response.body.lstrip().startswith(b"{"):
            return self._cut_json(response, pages, inner, offset)
        return self._cut_xml(response, pages, inner, offset)

    def _cut_json(self, response: Response, pages: Pages, inner: str, offset: int) -> Response:
        reply = json.loads(response.body)
        items = reply.get(pages.items)
        if not isinstance(items, list) or (len(items) <= self._size and not offset):
            return response
        reply[pages.items] = items[offset : offset + self._size]
        if offset + self._size < len(items):
            reply[pages.token_out] = _token(inner, offset + self._size)
        if pages.more and reply.get(pages.token_out):
            reply[pages.more] = True
        return replace(response, body=json.dumps(reply).encode())

    def _cut_xml(self, response: Response, pages: Pages, inner: str, offset: int) -> Response:
        root = xmlreply.parse(response)
        if root is None:
            return response
        result = root
        for wrapper in root:
            if xmlreply.plain(wrapper).endswith("Result"):
                result = wrapper
        listed = xmlreply.child(result, pages.items)
        if listed is None or (len(listed) <= self._size and not offset):
            return response
        items = list(listed)
        for item in (*items[:offset], *items[offset + self._size :]):
            listed.remove(item)
        if offset + self._size < len(items):
            xmlreply.put(result, pages.token_out, _token(inner, offset + self._size))
            if pages.more:
                xmlreply.put(result, pages.more, "true")
        return xmlreply.written(response, root)


def _model(call: Call) -> str:
    if call.service == "elasticloadbalancing":
        return "elbv2" if dict(form(call.request)).get("Version") == _ELBV2 else "elb"
    return MODELS.get(call.service, call.service)


@lru_cache(maxsize=512)
def pages_of(service: str, operation: str) -> Pages | None:
    """How an operation of a service (botocore's name) is paged; None when it is not, or not by one list and token."""
    loader = Loader()
    try:
        config: dict[str, Any] = loader.load_service_model(service, "paginators-1")["pagination"][operation]
    except Exception:  # botocore has no narrower error for a service without paginators
        return None
    names = [config.get(key, "") for key in ("input_token", "output_token", "result_key", "more_results")]
    if not all(isinstance(name, str) and re.fullmatch(r"\w*", name) for name in names) or not all(names[:3]):
        return None
    shape = _service(service).operation_model(operation)
    output, given = shape.output_shape, shape.input_shape
    if output is None or given is None or output.members[names[2]].serialization.get("flattened"):
        return None
    wire = [output.members[n].serialization.get("name", n) if n else "" for n in names[1:]]
    member = given.members[names[0]].serialization
    body = shape.service_model.protocol in ("json", "rest-json") and member.get("location") != "querystring"
    return Pages(member.get("name", names[0]), wire[0], wire[1], wire[2], body)


@lru_cache(maxsize=32)
def _service(name: str) -> ServiceModel:
    return ServiceModel(Loader().load_service_model(name, "service-2"), name)


def _given(request: Request, pages: Pages) -> str:
    if pages.body:
        try:
            asked = json.loads(request.body or b"{}")
        except ValueError:
            return ""
        return str(asked.get(pages.token_in) or "") if isinstance(asked, dict) else ""
    return next((value for name, value in form(request) if name.lower() == pages.token_in.lower()), "")


def _asking(request: Request, pages: Pages, token: str) -> Request:
    """The request with another token, or without one."""
    if pages.body:
        asked = json.loads(request.body)
        asked.pop(pages.token_in)
        return replace(request, body=json.dumps({**asked, **({pages.token_in: token} if token else {})}).encode())

    def changed(text: str) -> str:
        ours = pages.token_in.lower()
        kept = [(n, token if n.lower() == ours else v) for n, v in parameters(text) if token or n.lower() != ours]
        return "&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in kept)

    form_body = request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded")
    body = changed(request.body.decode("utf-8", "replace")).encode() if form_body else request.body
    return replace(request, query=changed(request.query), body=body)


def _fewer_keys(request: Request, size: int) -> Request:
    asked = parameters(request.query)
    limit = next((int(value) for name, value in asked if name == "max-keys" and value.isdigit()), 1000)
    kept = [(name, value) for name, value in asked if name != "max-keys"] + [("max-keys", str(min(limit, size)))]
    return replace(request, query="&".join(f"{quote(n, safe='')}={quote(v, safe='')}" for n, v in kept))


def _token(inner: str, offset: int) -> str:
    return _MARK + base64.urlsafe_b64encode(json.dumps([inner, offset]).encode()).decode().rstrip("=")


def _read(token: str) -> tuple[str, int]:
    if not token.startswith(_MARK):
        return token, 0
    text = token.removeprefix(_MARK)
    try:
        inner, offset = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
        return str(inner), int(offset)
    except ValueError as error:
        raise AwsError("InvalidNextToken", "The token is not valid.", 400) from error
