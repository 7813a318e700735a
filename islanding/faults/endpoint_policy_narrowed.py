"""An endpoint's policy is replaced by a narrower one: the service is reached, and answers 403."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from islanding.faults._endpoint import OnEndpoint, as_before, attributes, find_live, live, policy_of
from islanding.faults._fault import Health
from islanding.faults._plan import AwsCall, FaultError, Plan, found, new_id
from islanding.model import Site


@dataclass(frozen=True)
class EndpointPolicyNarrowed(OnEndpoint):
    """The policy becomes `policy` (JSON), or the present one without the resources `without` (ARNs, or bucket names).

    With neither, an S3 endpoint loses ECR's layer bucket, and any other endpoint allows nothing.
    """

    policy: str = ""
    without: tuple[str, ...] = ()

    kind = "endpoint-policy-narrowed"
    slow_on_aws = 300.0

    def plan(self, site: Site) -> Plan:
        if self.policy and self.without:
            raise FaultError(f"{self.kind} takes `policy` or `without`, not both")
        raw = self.endpoint(site)
        id, before = raw["VpcEndpointId"], attributes(raw)
        after = self._narrowed(site, before)
        if after == before["policy"]:
            raise FaultError(f"the policy of {id} ({before['service']}) is that already", "islanding heal")
        former = {"PolicyDocument": json.dumps(before["policy"])} if before["policy"] else {"ResetPolicy": True}
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"policy of {id} ({before['service']})",
            summary=f"policy narrowed: ec2.modify_vpc_endpoint({id}, PolicyDocument={json.dumps(after)})",
            before={**before, "narrowed": after},
            apply=(
                AwsCall(
                    service="ec2",
                    operation="modify_vpc_endpoint",
                    arguments={"VpcEndpointId": id, "PolicyDocument": json.dumps(after)},
                ),
            ),
            undo=(
                AwsCall(
                    service="ec2",
                    operation="modify_vpc_endpoint",
                    arguments={"VpcEndpointId": found("endpoint"), **former},
                    find={"endpoint": find_live(before)},
                ),
            ),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        there = live(site, plan.before) or {}
        narrowed = policy_of(there) == plan.before["narrowed"]
        return Health(narrowed, f"the policy is {'the narrower one' if narrowed else 'another'}")

    def is_healed(self, site: Site, plan: Plan) -> Health:
        return as_before(site, {key: value for key, value in plan.before.items() if key != "narrowed"})

    def _narrowed(self, site: Site, before: dict[str, Any]) -> dict[str, Any]:
        if self.policy:
            try:
                given = json.loads(self.policy)
            except ValueError as error:
                raise FaultError(f"{self.kind}: policy is no JSON: {error}") from error
            if not isinstance(given, dict) or "Statement" not in given:
                raise FaultError(f"{self.kind}: policy has no Statement")
            return given
        without = self.without or _default(site, before["service"])
        return narrowed(before["policy"] or ALLOW_ALL, tuple(arn for one in without for arn in _arns(one)))


def narrowed(policy: dict[str, Any], resources: tuple[str, ...]) -> dict[str, Any]:
    """The policy without these resources: no longer named where they were, and denied where more is allowed.

    Nothing that another statement allowed beyond them is taken away.
    """
    given = policy.get("Statement") or []
    kept: list[dict[str, Any]] = []
    for statement in given if isinstance(given, list) else [given]:
        named = statement.get("Resource", [])
        left = [one for one in ([named] if isinstance(named, str) else named) if one not in resources]
        if statement.get("Effect") != "Allow" or "Resource" not in statement:
            kept.append(statement)
        elif left:
            kept.append({**statement, "Resource": named if isinstance(named, str) else left})
    deny = {"Effect": "Deny", "Principal": "*", "Action": "*", "Resource": list(resources)}
    return {**policy, "Statement": [*kept, deny]}


ALLOW_ALL = {"Statement": [{"Effect": "Allow", "Principal": "*", "Action": "*", "Resource": "*"}]}


def _default(site: Site, service: str) -> tuple[str, ...]:
    # ECR user guide, "Minimum Amazon S3 bucket permissions for Amazon ECR": the bucket that holds the layers
    return (f"prod-{site.aws.region}-starport-layer-bucket",) if service.endswith(".s3") else ("*",)


def _arns(resource: str) -> tuple[str, ...]:
    if resource == "*" or resource.startswith("arn:"):
        return (resource,)
    return f"arn:aws:s3:::{resource}", f"arn:aws:s3:::{resource}/*"
