"""A new instance on its way into the cluster: the last phase that it reached, why it goes no further, and the times.

One sample is one look. The times are those that EC2, the instance and the cluster wrote down, so that a look that comes
late still has them right; watch it, or look again until it is READY.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar

from islanding.errors import IslandingError
from islanding.kube.joining import LOOK, Guest, Instance, Member, parse_guest, parse_member, progress
from islanding.kube.kubectl import argv
from islanding.probes import command
from islanding.probes.at_place import AtPlace, as_root, said, through
from islanding.probes.base import Reading

_ADDRESS = "{address}"


@dataclass(frozen=True, kw_only=True)
class NodeJoin(AtPlace):
    """Looks at `instance_id` through EC2 (`region`, `aws_env`), by SSH (`login`), and through the cluster.

    `login` enters the instance, with {address} for its private address; kubectl runs at the probe's place.
    """

    kind: ClassVar[str] = "node-join"

    instance_id: str
    kubeconfig: str
    region: str
    aws_env: dict[str, str] = field(default_factory=dict)
    login: tuple[str, ...] = ()
    kubectl: str = "kubectl"
    interval: float = 5.0
    timeout: float = 30.0

    def target(self) -> str:
        """What is probed."""
        return self.instance_id

    def command(self) -> str:
        """What a person would type."""
        return self.shown_at(["kubectl", "get", "nodes", "--output=wide"])

    def sample(self) -> Reading:
        """Look once."""
        try:
            instance = self._instance()
            member = self._member()
        except (IslandingError, ValueError, KeyError) as error:
            return Reading(1, str(error))
        except Exception as error:  # botocore's errors: what EC2 says, or that there is no way to it
            return Reading(1, f"EC2 cannot be asked: {error}")
        if instance.state != "running":
            return Reading(1, f"BOOT: {instance.id} is {instance.state}")
        guest, trouble = self._guest(instance.address)
        return reading(instance, guest, member, trouble)

    def _instance(self) -> Instance:
        from islanding.aws import calls, paging  # these take longer than all the rest of a sampler
        from islanding.model import AwsAccess

        access = AwsAccess(region=self.region, account="", env=self.aws_env)
        reply = paging.whole(calls.client(access, "ec2"), "describe_instances", {"InstanceIds": [self.instance_id]})
        found: list[dict[str, Any]] = [one for group in reply["Reservations"] for one in group["Instances"]]
        if not found:
            return Instance(self.instance_id, "unknown to EC2")
        launched = found[0]["LaunchTime"].timestamp()
        return Instance(self.instance_id, found[0]["State"]["Name"], found[0].get("PrivateIpAddress", ""), launched)

    def _member(self) -> Member | None:
        nodes = self._kubectl("get", "nodes", "--output=json")
        plugins = ("--namespace=kube-system", "get", "pods", "--selector=k8s-app=aws-node", "--output=json")
        return parse_member(nodes, self._kubectl(*plugins), self.instance_id)

    def _kubectl(self, *args: str) -> str:
        done = self.do(argv(args, self.kubeconfig, kubectl=self.kubectl), self.timeout / 2)
        if done.exit_code != 0:
            raise ValueError(f"kubectl {args[0]}: {said(done)}")
        return done.stdout

    def _guest(self, address: str) -> tuple[Guest | None, str]:
        if not (self.login and address):
            return None, ""
        login = [word.replace(_ADDRESS, address) for word in self.login]
        done = command.run(through(login, as_root(["sh", "-s"]), by_ssh=True), self.timeout / 2, stdin=LOOK)
        if done.exit_code == 0 and "--- log" in done.stdout:
            return parse_guest(done.stdout), ""
        return None, f"no login at {address}: {said(done)}"


def reading(instance: Instance, guest: Guest | None, member: Member | None, trouble: str) -> Reading:
    """What was seen, in one text: READY, or why not by the words of those who say so, then the phases."""
    came = progress(instance, guest, member)
    if member and member.ready is not None:
        return Reading(0, f"READY: {member.name} Ready=True {member.reason}\n{came}")
    if member:
        return Reading(1, f"{member.name} {member.reason}: {member.message}\n{came}")
    why = guest.log if guest else trouble
    return Reading(1, f"ABSENT: no node of {instance.id}\n{why}\n{came}".replace("\n\n", "\n"))
