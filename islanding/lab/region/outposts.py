"""The Outposts API, which moto lacks: Outposts, their sites and instance types, true to botocore's service model."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote

from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response


@dataclass(frozen=True)
class Outpost:
    """One Outpost: ids (`op-…`, `os-…`), ARN, name, Availability Zone and the instance types that it has room for."""

    id: str
    name: str
    arn: str
    site: str
    zone: str
    zone_id: str
    owner: str
    instance_types: tuple[tuple[str, int], ...] = (("m5.large", 2), ("m5.xlarge", 4), ("c5.large", 2))  # with vCPUs


class Outposts:
    """The Outposts API of one account and Region."""

    def __init__(self, account: str, region: str) -> None:
        self._account = account
        self._region = region
        self._outposts: dict[str, Outpost] = {}

    def add(self, outpost_id: str, name: str, arn: str, site: str, zone: str, zone_id: str = "") -> Outpost:
        """Register an Outpost and return it; a second with the same id replaces the first."""
        outpost = Outpost(outpost_id, name, arn, site, zone, zone_id, self._account)
        self._outposts[outpost_id] = outpost
        return outpost

    def knows(self, arn: str) -> bool:
        """Whether an Outpost has that ARN."""
        return any(outpost.arn == arn for outpost in self._outposts.values())

    def answer(self, request: Request, operation: str) -> Response:
        """The reply to a request; raises AwsError NotFoundException for an unknown Outpost or site."""
        parts = [unquote(part) for part in request.path.strip("/").split("/")]
        if operation == "ListOutposts":
            return _json({"Outposts": [self._describe(outpost) for outpost in self._outposts.values()]})
        if operation == "GetOutpost":
            return _json({"Outpost": self._describe(self._find(parts[1]))})
        if operation in ("GetOutpostInstanceTypes", "GetOutpostSupportedInstanceTypes"):
            outpost = self._find(parts[1])
            types = [{"InstanceType": name, "VCPUs": cpus} for name, cpus in outpost.instance_types]
            return _json({"InstanceTypes": types, "OutpostId": outpost.id, "OutpostArn": outpost.arn})
        if operation == "ListSites":
            return _json({"Sites": [self._site(site) for site in sorted({o.site for o in self._outposts.values()})]})
        if operation == "GetSite":
            if parts[1] not in {outpost.site for outpost in self._outposts.values()}:
                raise AwsError("NotFoundException", f"Site {parts[1]} not found", 404)
            return _json({"Site": self._site(parts[1])})
        raise AwsError("NotImplemented", f"The lab's Region does not serve outposts:{operation}", 501)

    def _find(self, id_or_arn: str) -> Outpost:
        for outpost in self._outposts.values():
            if id_or_arn in (outpost.id, outpost.arn):
                return outpost
        raise AwsError("NotFoundException", f"Outpost {id_or_arn} not found", 404)

    def _describe(self, outpost: Outpost) -> dict[str, Any]:
        described = {
            "OutpostId": outpost.id,
            "OwnerId": outpost.owner,
            "OutpostArn": outpost.arn,
            "SiteId": outpost.site,
            "SiteArn": self._site_arn(outpost.site),
            "Name": outpost.name,
            "LifeCycleStatus": "ACTIVE",
            "AvailabilityZone": outpost.zone,
            "SupportedHardwareType": "RACK",
            "Tags": {},
        }
        return {**described, "AvailabilityZoneId": outpost.zone_id} if outpost.zone_id else described

    def _site(self, site: str) -> dict[str, Any]:
        return {"SiteId": site, "AccountId": self._account, "Name": site, "SiteArn": self._site_arn(site), "Tags": {}}

    def _site_arn(self, site: str) -> str:
        return f"arn:aws:outposts:{self._region}:{self._account}:site/{site}"


def _json(body: dict[str, Any]) -> Response:
    return Response(
        200, (("Content-Type", "application/json"), ("x-amzn-RequestId", str(uuid.uuid4()))), json.dumps(body).encode()
    )
