"""What the `site.yaml` of a site made of CloudFormation stacks may say, and its values with references replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from islanding import guardconf, siteconf, stackrules, yamldoc
from islanding.confmodel import Conf as _Conf
from islanding.confmodel import pattern as _pattern
from islanding.errors import SetupError
from islanding.siteconf import Address, MannersConf, Network, Seconds, SiteConf, SiteName, Text
from islanding.stackrules import REFERENCE
from islanding.yamldoc import Document

KIND = "stacks"
AmiId = Annotated[str, _pattern(r"ami-[0-9a-f]{8,17}", "an image's id such as ami-0123456789abcdef0")]


RegionName = Annotated[str, _pattern(r"[a-z]{2}(-[a-z]+)+-\d", "a Region's name such as ap-northeast-1")]
AccountId = Annotated[str, _pattern(r"\d{12}", "an account id: 12 digits in quotes")]


class RegionConf(_Conf):
    """Where the site is."""

    name: RegionName
    account: AccountId


class StackConf(_Conf):
    """A CloudFormation stack: template (a file beside site.yaml) and parameters, which may refer to what is known."""

    name: SiteName
    template: Text
    parameters: Annotated[dict[str, str], Field(default_factory=dict)]


class ClusterStep(_Conf):
    """The EKS cluster, made by the API between two stacks; strings may hold references."""

    name: SiteName
    version: Annotated[str, _pattern(r"1\.\d{1,2}", 'a version in quotes such as "1.36"')]
    after: SiteName  # the stack after which it is made
    role: Text
    subnets: Text  # ids with commas between
    groups: str = ""
    public_access: bool = False
    private_access: bool = True
    service_cidr: Network
    outpost: str = ""  # ARN of the Outpost that a local cluster is on
    logs: Annotated[tuple[str, ...], Field(strict=False)] = ("api", "authenticator")


class Reach(_Conf):
    """How people come in: bastion, operator and the ranges where nodes are."""

    bastion: Text
    operator: Text
    nodes: Text


class RoleMapping(_Conf):
    """An entry of aws-auth."""

    role: Text
    username: Text
    groups: Annotated[tuple[str, ...], Field(strict=False)]


class StacksWorkload(_Conf):
    """What runs on the cluster; `image` is its name in the account's registry, `${image}` in the manifest."""

    name: SiteName
    replicas: Annotated[int, Field(ge=1, le=100)]
    node_port: Annotated[int, Field(ge=30000, le=32767)]
    manifest: Text
    image: Text


class Images(_Conf):
    """Images (AMIs) of instances, by what they are for."""

    operator: AmiId
    worker: AmiId


class LabConf(_Conf):
    """What only the lab needs to know: the user's own computer, images, and timers that AWS's users cannot set."""

    workstation: Address
    images: Images
    node_grace: Seconds = 50.0
    eviction: Annotated[int, Field(ge=0, le=3600)] = 300
    manners: MannersConf = MannersConf()


class StacksConf(_Conf):
    """A reference site that CloudFormation makes, in the lab and on AWS alike."""

    name: SiteName
    kind: Literal["stacks"]
    description: Text
    region: RegionConf
    stacks: Annotated[tuple[StackConf, ...], Field(min_length=1, strict=False)]
    cluster: ClusterStep
    mappings: Annotated[tuple[RoleMapping, ...], Field(strict=False)] = ()
    asg: Text
    reach: Reach
    facts: Annotated[dict[str, str], Field(default_factory=dict)]
    fault_seconds: Seconds = 600.0  # after which a fault is undone although its run still holds it
    workload: StacksWorkload
    lab: LabConf
    guardrails: guardconf.Guardrails = guardconf.Guardrails()


def is_stacks(document: Document) -> bool:
    """Whether a site.yaml is of this kind."""
    return isinstance(document.data, dict) and document.data.get("kind") == KIND


def check(document: Document) -> StacksConf:
    """The site that a document describes; raises SetupError that names every mistake."""
    found = [*document.mistakes]
    conf = None
    try:
        conf = StacksConf.model_validate(document.data)
    except ValidationError as error:
        found += yamldoc.explain(error, document, StacksConf)
    found += [*stackrules.mistakes(document), *guardconf.mistakes(document)]
    if found or conf is None:
        raise document.reject(found)
    return conf


def resolved(text: str, known: Mapping[str, Mapping[str, str]]) -> str:
    """`text` with its references replaced; raises SetupError for one that is not known (yet)."""

    def value(found: re.Match[str]) -> str:
        try:
            return known[found[1]][found[2]]
        except KeyError:
            there = ", ".join(sorted(known.get(found[1], known)))
            raise SetupError(f"nothing is known of {found[0]}", f"known there: {there}") from None

    return REFERENCE.sub(value, text)


def load(path: Path, overrides: Mapping[str, Any] | None = None) -> SiteConf | StacksConf:
    """Read a site.yaml of either kind; raises SetupError that names every mistake with file, line and what is allowed.

    `overrides` maps dotted keys to values that take the place of the file's; they are checked too.
    """
    document = yamldoc.read(path)
    for key, value in (overrides or {}).items():
        document.put(tuple(key.split(".")), value)
    if is_stacks(document):
        return check(document)
    if isinstance(document.data, dict) and "kind" in document.data:
        what = f"{yamldoc.shown(document.data['kind'])} is not allowed; allowed: {KIND}, or no kind for an Outpost"
        raise document.reject([document.mistake(("kind",), what)])
    return siteconf.check(document)
