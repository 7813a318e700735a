"""A Region without a socket: boto3 clients whose requests go straight to its handler."""

from __future__ import annotations

import functools
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import boto3
from botocore.awsrequest import AWSResponse
from botocore.compat import HTTPHeaders
from botocore.config import Config

from islanding.lab.region.http import Request
from islanding.lab.region.seed import SessionCredentials
from islanding.lab.region.server import Region

REGION = "ap-northeast-1"
_accounts = itertools.count(500000000000)  # moto's state lasts as long as the process: each test has its own account


@functools.cache
def few_policies() -> None:
    """Leave moto a few of AWS's managed policies: to read all of them takes each new account most of a second."""
    from moto.iam import models
    from moto.iam.aws_managed_policies import aws_managed_policies_data

    kept = ("AmazonEKS", "AmazonEC2Container", "AmazonS3", "AdministratorAccess", "ReadOnlyAccess")
    few = {name: one for name, one in json.loads(aws_managed_policies_data).items() if name.startswith(kept)}
    vars(models)["aws_managed_policies_data"] = json.dumps(few)


def fresh_region(folder: Path) -> Iterator[Region]:
    """A Region of a new account with a role named Operator; what it recorded as errors fails the test."""
    few_policies()
    region = Region(str(next(_accounts)), REGION, folder / "region.jsonl")
    region.seed.create_role("Operator")
    yield region
    region.close()

    assert region.errors == []


def header_text(value: Any) -> str:
    """A header's value as text, however botocore holds it."""
    return value.decode() if isinstance(value, bytes) else str(value)


class _Raw:
    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, **_: object) -> list[bytes]:
        return [self._body]


def connect(region: Region, service: str, who: SessionCredentials | None = None, attempts: int = 5) -> Any:
    """A boto3 client of `region` as `who`, by default a session of the role Operator; see its call through."""
    who = who or region.seed.assume("Operator")
    client: Any = boto3.client(
        service,
        region_name=REGION,
        aws_access_key_id=who.access_key_id,
        aws_secret_access_key=who.secret_access_key,
        aws_session_token=who.session_token,
        config=Config(retries={"total_max_attempts": attempts, "mode": "standard"}),
    )

    def send(request: Any, **_: object) -> AWSResponse:
        path, _mark, query = request.url.split(".com", 1)[1].partition("?")
        headers = {name.lower(): header_text(value) for name, value in request.headers.items()}
        headers["host"] = request.url.split("/")[2]
        content = request.body.read() if hasattr(request.body, "read") else request.body  # a file, as S3's are
        body = content.encode() if isinstance(content, str) else content or b""
        reply = region.handle(Request(request.method, path or "/", query, headers, body, ("192.0.2.1", 1)))
        return AWSResponse(request.url, reply.status, HTTPHeaders.from_dict(dict(reply.headers)), _Raw(reply.body))

    client.meta.events.register("before-send", send)
    return client
