"""A site made by the AWS API alone, in the lab and on AWS alike: stacks, the cluster between them, who may come in."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

from islanding.aws import preflight, stacks, trouble
from islanding.aws.checks import Lack
from islanding.errors import IslandingError
from islanding.model import AwsAccess
from islanding.stackconf import StacksConf, resolved
from islanding.wait import WaitTimeout, wait_until

Known = dict[str, dict[str, str]]
CLUSTER_SECONDS = 1800.0  # until a cluster is ACTIVE; AWS says 10 to 15 minutes
AUTH_SECONDS = 120.0


@dataclass(frozen=True)
class Provisioned:
    """A site that is there: what its references stand for, and the facts that cases know it by."""

    known: Known = field(repr=False)
    facts: dict[str, str]

    def resolved(self, text: str) -> str:
        """`text` with its references replaced."""
        return resolved(text, self.known)


@dataclass(frozen=True)
class Provisioner:
    """Makes one site: `clients` gives boto3's client of a service, `step` is told what goes on.

    `folder` holds site.yaml and the templates; `surroundings` is what references may name beside stacks and cluster.
    `poll` is the seconds between two looks at what AWS is still making.
    """

    conf: StacksConf
    folder: Path
    clients: Callable[[str], Any]
    surroundings: Mapping[str, Mapping[str, str]]
    step: Callable[[str], None]
    poll: float = 5.0
    checked: bool = True  # whether what the site lacks is looked for first
    tags: Mapping[str, str] = field(default_factory=dict)  # of everything that is made
    lacking: Callable[[str, str, str, str], None] | None = None  # told each lack: name, object, text and level

    def provision(self, apply: Callable[[str, Provisioned], bool]) -> Provisioned:
        """Make everything; `apply` applies YAML to the cluster as its creator, and is tried until it says True.

        What is there already is brought to what the templates say. Raises IslandingError that says what is lacking
        before anything is made, or which step failed and AWS's reason.
        """
        with told("making the site", self._access):
            return self._provision(apply)

    @property
    def _access(self) -> AwsAccess:
        return AwsAccess(region=self.conf.region.name, account=self.conf.region.account)

    def lacks(self) -> tuple[Lack, ...]:
        """What the site lacks, looked for before anything of it is made; raises IslandingError."""
        return preflight.check(self.conf, self.folder, self.clients, self.surroundings)

    def _provision(self, apply: Callable[[str, Provisioned], bool]) -> Provisioned:
        if self.checked:
            self._preflight()
        known: Known = {name: dict(facts) for name, facts in self.surroundings.items()}
        known["cluster"] = self._named
        for stack in self.conf.stacks:
            known[stack.name] = self._stack(stack.name, stack.template, stack.parameters, known)
            if stack.name == self.conf.cluster.after:
                known["cluster"] = self._cluster(known)
                self._mapped(Provisioned(known, {}), apply)
        facts = {name: resolved(text, known) for name, text in self.conf.facts.items()}
        if self.conf.asg:
            facts["asg"] = resolved(self.conf.asg, known)
        return Provisioned(known, facts)

    def deprovision(self) -> None:
        """Delete everything again, in the opposite order, files in buckets too; what is not there is passed over.

        Raises IslandingError that says what could not be deleted and AWS's reason.
        """
        with told("deleting the site", self._access):
            self._deprovision()

    def _deprovision(self) -> None:
        for stack in reversed(self.conf.stacks):
            if stack.name == self.conf.cluster.after:
                self._delete_cluster()
            client, name = self.clients("cloudformation"), self.stack_name(stack.name)
            for bucket in stacks.resources(client, name, "AWS::S3::Bucket"):
                stacks.empty(self.clients("s3"), bucket)  # CloudFormation deletes no bucket that holds something
            stacks.delete(client, name, self.step, poll=self.poll)

    def stack_name(self, stack: str) -> str:
        """The name of a stack in the account."""
        return f"{self.conf.name}-{stack}"

    @property
    def _named(self) -> dict[str, str]:
        """What is known of the cluster before it is made."""
        return {"name": self.conf.cluster.name, "service_cidr": str(self.conf.cluster.service_cidr)}

    def _preflight(self) -> None:
        """Stop before anything is made when something is lacking; a site that is there already has passed this."""
        if stacks.exists(self.clients("cloudformation"), self.stack_name(self.conf.stacks[0].name)):
            return
        found = self.lacks()
        if self.lacking:
            for one in found:
                self.lacking(one.name, one.object, one.text, one.level)
        for advice in (one for one in found if one.level == "advice"):
            self.step(f"advice: {advice}")
        lacking = [f"\n  {one}" for one in found if one.level == "lack"]
        if lacking:
            count = "something is" if len(lacking) == 1 else f"{len(lacking)} things are"
            raise IslandingError(f"{self.conf.name} cannot be built, {count} lacking:{''.join(lacking)}")
        self.step("nothing is lacking")

    def _stack(self, name: str, template: str, parameters: Mapping[str, str], known: Known) -> dict[str, str]:
        text = (self.folder / template).read_text()
        values = {key: resolved(value, known) for key, value in parameters.items()}
        return stacks.deploy(
            self.clients("cloudformation"),
            self.stack_name(name),
            text,
            values,
            self.step,
            poll=self.poll,
            tags=self.tags,
        )

    def _cluster(self, known: Known) -> dict[str, str]:
        wanted = self.conf.cluster
        eks = self.clients("eks")
        groups = resolved(wanted.groups, known)
        if self._cluster_status(eks) == "":
            eks.create_cluster(
                name=wanted.name,
                version=wanted.version,
                roleArn=resolved(wanted.role, known),
                resourcesVpcConfig={
                    "subnetIds": resolved(wanted.subnets, known).split(","),
                    "securityGroupIds": groups.split(",") if groups else [],
                    "endpointPublicAccess": wanted.public_access,
                    "endpointPrivateAccess": wanted.private_access,
                },
                accessConfig={"authenticationMode": "CONFIG_MAP", "bootstrapClusterCreatorAdminPermissions": True},
                kubernetesNetworkConfig={"serviceIpv4Cidr": str(wanted.service_cidr)},
                **({"tags": dict(self.tags)} if self.tags else {}),
                logging={"clusterLogging": [{"types": list(wanted.logs), "enabled": True}]},
                **(_local(resolved(wanted.outpost, known)) if wanted.outpost else {}),
            )
        self.step(f"cluster {wanted.name}: CREATING")
        status = self._until_cluster(eks, lambda s: s not in ("CREATING", "PENDING", "UPDATING"))
        cluster = eks.describe_cluster(name=wanted.name)["cluster"]
        if status != "ACTIVE":
            issues = "; ".join(i["message"] for i in cluster.get("health", {}).get("issues", []))
            raise IslandingError(f"cluster {wanted.name} is {status}: {issues or 'no reason was given'}")
        self.step(f"cluster {wanted.name}: ACTIVE")
        return {
            **self._named,
            "endpoint": cluster["endpoint"],
            "certificate_authority": cluster["certificateAuthority"]["data"],
            "id": str(cluster.get("id", "")),
        }

    def _until_cluster(self, eks: Any, done: Callable[[str], bool]) -> str:
        name = self.conf.cluster.name
        try:
            return wait_until(
                f"cluster {name}",
                lambda: self._cluster_status(eks),
                timeout=CLUSTER_SECONDS,
                interval=min(self.poll, 15.0),
                done=done,
            )
        except WaitTimeout as late:
            raise IslandingError(f"cluster {name} was still {late.last} after {CLUSTER_SECONDS:g} s") from late

    def _cluster_status(self, eks: Any) -> str:
        try:
            return str(eks.describe_cluster(name=self.conf.cluster.name)["cluster"]["status"])
        except eks.exceptions.ResourceNotFoundException:
            return ""

    def _delete_cluster(self) -> None:
        eks = self.clients("eks")
        if self._cluster_status(eks):
            eks.delete_cluster(name=self.conf.cluster.name)
            self._until_cluster(eks, lambda status: status == "")
            self.step(f"cluster {self.conf.cluster.name}: gone")

    def _mapped(self, so_far: Provisioned, apply: Callable[[str, Provisioned], bool]) -> None:
        """Let nodes and operator in by aws-auth, before the first node asks: a refused kubelet only tries again."""
        text = aws_auth(self.conf, so_far)
        try:
            wait_until("aws-auth to be applied by the creator", lambda: apply(text, so_far), timeout=AUTH_SECONDS)
        except WaitTimeout as late:
            raise IslandingError(f"aws-auth could not be applied within {AUTH_SECONDS:g} s: {late.last}") from late
        self.step("aws-auth: applied")


@contextmanager
def told(doing: str, access: AwsAccess) -> Iterator[None]:
    """AWS's refusals, and failures to reach it, as errors that a user can act on."""
    import botocore.exceptions  # importing botocore takes most of a second

    try:
        yield
    except (botocore.exceptions.BotoCoreError, botocore.exceptions.ClientError) as error:
        fix = trouble.fix(error, access)
        raise IslandingError(f"AWS refused while {doing}: {error}", fix) from error


def _local(outpost: str) -> dict[str, Any]:
    """What makes a cluster a local one on an Outpost."""
    return {"outpostConfig": {"outpostArns": [outpost], "controlPlaneInstanceType": "m5.large"}}


def aws_auth(conf: StacksConf, known: Provisioned) -> str:
    """The aws-auth ConfigMap of a site, as YAML."""
    entries = [
        {"rolearn": known.resolved(m.role), "username": m.username, "groups": list(m.groups)} for m in conf.mappings
    ]
    return yaml.safe_dump(
        {
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {"name": "aws-auth", "namespace": "kube-system"},
            "data": {"mapRoles": yaml.safe_dump(entries, sort_keys=False)},
        }
    )
