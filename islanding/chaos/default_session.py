"""boto3's default session in an experiment is the site's: actions of others (chaosaws) act on the site alone.

It is not done by environment variables: commands at the site's desks would inherit them, and with an endpoint of the
harness a desk's kubectl would get its token by a way that no fault touches.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import boto3

from islanding.aws import calls
from islanding.model import Site

_REGION = ("AWS_REGION", "AWS_DEFAULT_REGION")  # chaosaws asks the environment for it; a desk has the same one


class SiteSession(boto3.Session):
    """A session with a site's own access; for a lab that names no endpoint it gives no clients."""

    def __init__(self, site: Site) -> None:
        super().__init__(botocore_session=calls.session(site.aws), region_name=site.aws.region)
        self._site = site

    def client(self, service_name: Any, *args: Any, **kwargs: Any) -> Any:
        """A client that calls the site's endpoint; raises IslandingError where a site's own calls would refuse."""
        calls.allowed(self._site, service_name, "its client")
        if not kwargs.get("endpoint_url"):
            kwargs["endpoint_url"] = calls.endpoint(self._site.aws, service_name)
        return super().client(service_name, *args, **kwargs)


def call(site: Site) -> None:
    """From now on boto3's own functions in this process call the site's AWS."""
    boto3.DEFAULT_SESSION = SiteSession(site)
    os.environ.update(dict.fromkeys(_REGION, site.aws.region))


@contextmanager
def calling(site: Site) -> Iterator[None]:
    """The same for the length of a block."""
    session, region = boto3.DEFAULT_SESSION, {name: os.environ.get(name) for name in _REGION}
    call(site)
    try:
        yield
    finally:
        boto3.DEFAULT_SESSION = session
        for name, value in region.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
