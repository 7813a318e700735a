"""The transfer bucket of a closed site: its policy names the S3 endpoint, which is another one once it was put back."""

from __future__ import annotations

import re

from islanding.aws import calls
from islanding.errors import IslandingError
from islanding.model import Site

_ENDPOINT = re.compile(r"vpce-[0-9a-f]+")


def s3_endpoint(site: Site) -> str:
    """The id of the gateway endpoint of S3 in the site's VPC now; raises IslandingError when there is none."""
    filters = [
        {"Name": "vpc-id", "Values": [site.facts["vpc_id"]]},
        {"Name": "service-name", "Values": [f"com.amazonaws.{site.aws.region}.s3"]},
    ]
    found = calls.call(site, "ec2", "describe_vpc_endpoints", {"Filters": filters})["VpcEndpoints"]
    live = [one["VpcEndpointId"] for one in found if str(one["State"]).lower() == "available"]
    if not live:
        raise IslandingError(f"there is no endpoint of S3 in {site.facts['vpc_id']}", "islanding heal")
    return str(live[0])


def named(policy: str, endpoint: str) -> str:
    """A bucket policy (JSON) in which every endpoint's id is `endpoint`. Pure."""
    return _ENDPOINT.sub(endpoint, policy)


def name_endpoint(site: Site) -> str:
    """Let the bucket's policy name the endpoint that there is now, as its owner must after replacing it; its id.

    Raises IslandingError with AWS's own message.
    """
    bucket, endpoint = {"Bucket": site.facts["bucket"]}, s3_endpoint(site)
    policy = str(calls.call(site, "s3", "get_bucket_policy", bucket)["Policy"])
    if named(policy, endpoint) != policy:
        calls.call(site, "s3", "put_bucket_policy", {**bucket, "Policy": named(policy, endpoint)})
    return endpoint
