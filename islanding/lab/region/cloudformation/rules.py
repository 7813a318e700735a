"""What CloudFormation asks of a stack before and while its resources are made, and how it words what the API said."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from islanding.lab.region.cloudformation import (
    account,
    filtering,
    functions,
    gateways,
    machines,
    network,
    scaling,
    storage,
    zones,
)
from islanding.lab.region.cloudformation.resource import REGISTRY, Properties, ResourceType
from islanding.lab.region.cloudformation.scope import Scope
from islanding.lab.region.cloudformation.template import Resource, Template, as_text, invalid
from islanding.lab.region.errors import AwsError

__all__ = [
    "account",
    "filtering",
    "functions",
    "gateways",
    "machines",
    "network",
    "scaling",
    "storage",
    "zones",
]  # imported so that their types are registered

_IAM = ("AWS::IAM::",)
_NAMED = {"RoleName", "InstanceProfileName", "ManagedPolicyName"}


def check_capabilities(template: Template, given: Iterable[str]) -> None:
    """IAM resources have to be acknowledged; those with names of their own by CAPABILITY_NAMED_IAM."""
    iam = [r for r in template.resources.values() if r.type.startswith(_IAM)]
    named = [r for r in iam if _NAMED & set(r.properties)]
    needed = "CAPABILITY_NAMED_IAM" if named else "CAPABILITY_IAM" if iam else ""
    enough = {"CAPABILITY_NAMED_IAM"} if named else {"CAPABILITY_NAMED_IAM", "CAPABILITY_IAM"}
    if needed and not enough & set(given):
        raise AwsError("InsufficientCapabilitiesException", f"Requires capabilities : [{needed}]")


def kind_of(resource: Resource) -> ResourceType:
    """The type of a resource; raises AwsError for one that the lab does not have."""
    if resource.type not in REGISTRY:
        raise invalid(f"The lab's CloudFormation does not have the resource type {resource.type}")
    return REGISTRY[resource.type]


def checked(kind: ResourceType, properties: Properties) -> Properties:
    """The properties, if the type has them all and they have all that it needs; raises AwsError."""
    if unknown := sorted(set(properties) - kind.properties):
        raise invalid(f"Encountered unsupported property {unknown[0]}")
    if missing := sorted(kind.required - set(properties)):
        raise invalid(f"Property {missing[0]} cannot be empty.")
    return properties


def with_tags(kind: ResourceType, properties: Properties, tags: Mapping[str, str]) -> Properties:
    """The properties with the stack's own tags, where the type has tags; the template's tags go before them.

    Source: CloudFormation user guide, "Resource tag" (stack-level tags are propagated to resources that support it).
    """
    if not tags or "Tags" not in kind.properties:
        return properties
    given = list(properties.get("Tags") or [])
    named = {str(one["Key"]) for one in given}
    launched = {"PropagateAtLaunch": True} if kind.name == "AWS::AutoScaling::AutoScalingGroup" else {}
    more = [{"Key": key, "Value": value, **launched} for key, value in tags.items() if key not in named]
    return {**properties, "Tags": [*given, *more]}


def outputs(template: Template, scope: Scope) -> dict[str, tuple[str, str, str]]:
    """What a stack gives out: (value, description, export's name or nothing) by name; raises AwsError."""
    found = {}
    for name, body in template.outputs.items():
        if body.get("Condition") and not scope.holds(str(body["Condition"])):
            continue
        export = body.get("Export")
        exported = as_text(scope.value(export["Name"])) if isinstance(export, dict) and "Name" in export else ""
        found[name] = (as_text(scope.value(body["Value"])), as_text(body.get("Description", "")), exported)
    return found


def words(error: Exception) -> str:
    """What went wrong with a resource, as it stands in a stack's events."""
    answer = getattr(error, "response", None)
    if isinstance(answer, dict) and "Error" in answer:
        status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 400)
        code = answer["Error"].get("Code", "")
        return f"{answer['Error'].get('Message', '')} (Status Code: {status}; Error Code: {code})"
    if isinstance(error, KeyError):
        return f"Properties validation failed: {error} is missing"
    if isinstance(error, AwsError):
        return error.message
    return f"Properties validation failed: {str(error) or type(error).__name__}"


def is_gone(error: Exception) -> bool:
    """Whether a deletion failed because there is nothing to delete: somebody else was faster."""
    answer = getattr(error, "response", None)
    code = str(answer["Error"].get("Code", "")) if isinstance(answer, dict) and "Error" in answer else ""
    return code.endswith((".NotFound", "NotFoundException", "NoSuchEntity", "NoSuchBucket")) or code in (
        "InvalidAssociationID.NotFound", "NoSuchHostedZone",
    )  # fmt: skip
