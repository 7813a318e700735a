"""IAM's own judgement of each call: what the caller's role or user may do, by its policies.

Identity policies (inline and managed, of groups too), the permissions boundary and the session's policy all have to
allow it; an explicit deny in any of them goes before. What a bucket's or repository's own policy allows to a caller of
the same account needs no identity policy. Source: "Policy evaluation logic" and "Troubleshoot access denied error
messages", IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from islanding.lab.region.asked import Meaning, meanings
from islanding.lab.region.http import Response
from islanding.lab.region.manners import resources, tags
from islanding.lab.region.manners.documents import Documents
from islanding.lab.region.permissions import refusal
from islanding.lab.region.policy import Asked, Caller, Effect, judge

if TYPE_CHECKING:
    from islanding.lab.region.manners import Onward
    from islanding.lab.region.manners.call import Call
    from islanding.lab.region.permissions import Permissions
    from islanding.lab.region.principals import Principal

# Calls that need no permission (API references of STS).
FREE = frozenset({"GetCallerIdentity", "GetSessionToken", "GetAccessKeyInfo", "DecodeAuthorizationMessage"})
TAGGING = "ec2:CreateTags"
PASSING = "iam:PassRole"
Kind = tuple[str, str]  # how the kind of policy that is against a call is named: "no … policy allows", "deny in …"
IDENTITY: Kind = ("identity-based policy", "an identity-based policy")
BOUNDARY: Kind = ("permissions boundary", "a permissions boundary")
SESSION: Kind = ("session policy", "a session policy")


class Identity:
    """Judges by identity policies; `permissions` has judged the endpoint's and the resource's own policies before."""

    def __init__(self, permissions: Permissions) -> None:
        self._permissions = permissions
        self._documents = Documents()

    def __call__(self, call: Call, onward: Onward) -> Response:
        """Answer the call, if the caller may make it; raises AwsError in the service's words otherwise."""
        if call.principal is not None and not _free(call, call.principal):
            self._check(call, call.principal)
        response = onward(call.request)
        if call.service == "sts" and call.operation == "AssumeRole" and response.status < 400:
            self._documents.remember_session(call.request, response)
        return response

    def _check(self, call: Call, who: Principal) -> None:
        caller = Caller(who.arn, who.account, who.role_arn)
        kinds = self._documents.of(who)
        region = self._permissions.region
        asks = meanings(call.request, call.service, call.operation, region, who.account)
        for meaning in (*asks, *self._passing(call, who), *self._tagging(call, who)):
            self._judge(call, who, caller, resources.narrowed(meaning, call.request, call.service, region), kinds)

    def _judge(
        self, call: Call, who: Principal, caller: Caller, meaning: Meaning, kinds: dict[Kind, tuple[str, ...]]
    ) -> None:
        context = self._permissions.context(call.request, who, meaning)
        context.update(
            tags.keys(tags.of_resource(meaning.resource, self._permissions.region), tags.of_request(call.request))
        )
        if meaning.action == TAGGING and call.operation != "CreateTags":
            context["ec2:createaction"] = (call.operation,)
        if meaning.action == PASSING:  # who gets it (IAM user guide, "AWS global condition context keys")
            context["iam:passedtoservice"] = (f"{call.service}.amazonaws.com",)
        asked = Asked(meaning.action, meaning.resource, caller, context)
        effects = {kind: together(documents, asked) for kind, documents in kinds.items()}
        for (kind, one), effect in effects.items():
            if effect is Effect.DENY:
                raise refusal(call.service, asked, effect, kind, one)
        granted = self._permissions.granted(call.request, who, meaning)
        for (kind, one), effect in effects.items():
            if effect is Effect.NEUTRAL and not (granted and (kind, one) == IDENTITY):
                raise refusal(call.service, asked, effect, kind, one)

    def _passing(self, call: Call, who: Principal) -> Iterable[Meaning]:
        for named in resources.passed_roles(call.request, call.service, call.operation):
            for arn in self._documents.roles_of(named, who.account):
                yield Meaning(PASSING, arn, account=who.account)

    def _tagging(self, call: Call, who: Principal) -> Iterable[Meaning]:
        """What EC2 tags as it makes it needs the permission to tag (EC2 user guide, "Tag resources on creation")."""
        if call.service == "ec2":
            for kind in resources.tagged_kinds(call.request):
                arn = f"arn:aws:ec2:{self._permissions.region}:{who.account}:{kind}/*"
                yield Meaning(TAGGING, arn, account=who.account)


def _free(call: Call, who: Principal) -> bool:
    """Whether a call needs no permission: who one is, and an instance's own signal to its stack.

    cfn-signal proves by the instance's identity document who signals, and its role is not asked (CloudFormation user
    guide, "CloudFormation helper scripts reference"); here the call is signed by the role's session of the instance.
    """
    if call.service == "cloudformation":
        return call.operation == "SignalResource" and who.arn.rpartition("/")[2].startswith("i-")
    return call.service == "sts" and call.operation in FREE


def together(documents: Iterable[str], asked: Asked) -> Effect:
    """What several identity policies come to: one deny denies, one allow allows."""
    found = Effect.NEUTRAL
    for document in documents:
        effect = judge(document, asked, identity=True)
        if effect is Effect.DENY:
            return effect
        if effect is Effect.ALLOW:
            found = effect
    return found
