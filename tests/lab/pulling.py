"""A site for pulls: a VPC without internet, its endpoints, the real registry, and skopeo on an instance."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from islanding.lab import archives
from islanding.lab.distribution import Distribution
from islanding.lab.doorkeeper import Doorkeeper
from islanding.lab.kernel import inside
from islanding.lab.parts import found
from islanding.lab.pki import Authority
from islanding.lab.system_images import PAUSE
from islanding.lab.vpc import names
from islanding.lab.vpc.outside import Outside
from islanding.lab.vpc.resolvers import Resolvers
from islanding.lab.vpc.state import Ec2State
from tests.lab.packets import World
from tests.unit.region_support import REGION


@dataclass
class Site:
    """A VPC without internet, with the three endpoints that a pull needs, and an instance."""

    world: World
    distribution: Distribution
    folder: Path
    endpoints: dict[str, str]
    vpc: str
    subnet: str
    group: str
    instance: str

    @property
    def host(self) -> str:
        """The account's own registry."""
        return f"{self.world.region.account}.dkr.ecr.{REGION}.amazonaws.com"

    def token(self) -> str:
        """What `aws ecr get-login-password` prints."""
        data = self.world.client("ecr").get_authorization_token()["authorizationData"][0]
        return base64.b64decode(data["authorizationToken"]).decode().partition(":")[2]

    def run(self, *command: str, timeout: float = 60.0) -> subprocess.CompletedProcess[str]:
        """Run a command on the instance, which trusts AWS's certificates and asks its VPC's resolver."""
        (self.folder / "resolv.conf").write_text("nameserver 10.0.0.2\noptions timeout:1 attempts:1\n")
        script = f'mount --bind {self.folder}/resolv.conf /etc/resolv.conf && exec "$@"'
        whole = inside(self.instance, ["unshare", "--mount", "sh", "-c", script, "sh", *command])
        told: dict[str, Any] = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True, "timeout": timeout}
        environment = {**os.environ, "SSL_CERT_FILE": str(self.folder / "ca.pem"), "NO_PROXY": "*", "no_proxy": "*"}
        for name in ("SSL_CERT_DIR", "HTTPS_PROXY", "https_proxy"):
            environment.pop(name, None)
        return subprocess.run(whole, env=environment, check=False, **told)

    def copy(self, source: str, target: str, *more: str) -> subprocess.CompletedProcess[str]:
        """skopeo copy."""
        policy = self.folder / "policy.json"
        policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
        return self.run("skopeo", "--policy", str(policy), "--command-timeout", "50s", "copy", *more, source, target)

    def push(self, image: archives.StoredImage, repository: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """Push an archive as `repository:tag` into the account's own registry."""
        target = f"docker://{self.host}/{repository}"
        credentials = ("--dest-creds", f"AWS:{token or self.token()}")
        return self.copy(f"oci-archive:{image.archive}", target, "--preserve-digests", *credentials)

    def pull(self, name: str, folder: str, token: str = "") -> subprocess.CompletedProcess[str]:
        """Pull `HOST/repository:tag` into a folder."""
        target = f"oci:{self.folder / folder}:got"
        return self.copy(
            f"docker://{name}", target, "--preserve-digests", "--src-creds", f"AWS:{token or self.token()}"
        )


def endpoint(world: World, vpc: str, service: str, **more: Any) -> str:
    """A VPC endpoint; its id."""
    made = world.ec2.create_vpc_endpoint(VpcId=vpc, ServiceName=f"com.amazonaws.{REGION}.{service}", **more)
    return str(made["VpcEndpoint"]["VpcEndpointId"])


@contextmanager
def serving(world: World, tmp_path: Path) -> Iterator[Site]:
    """That site with a registry that serves, with its files in a folder."""
    outside, ca = Outside(region=REGION), Authority.create("AWS CA")
    (tmp_path / "ca.pem").write_bytes(ca.certificate_pem)
    resolvers = Resolvers(tmp_path / "dns", tmp_path)
    doors = Doorkeeper(world.region, ca, outside)
    public = names.public_names(REGION, outside.api, outside.s3[0])

    def follow(state: Ec2State) -> None:
        resolvers.follow(names.resolvers(state, REGION, public, everybody=("aws", outside.resolver)))
        doors.follow(state)

    world.plane.on_plan(follow)
    vpc = world.vpc("10.0.0.0/16")
    world.ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})
    subnet = world.subnet(vpc, "10.0.1.0/24", AvailabilityZone=f"{REGION}a")
    group = world.group(vpc)
    world.allow(group, "10.0.0.0/16", port=443)
    instance = world.instance(subnet, group, "10.0.1.10")
    in_subnet = {
        "VpcEndpointType": "Interface", "SubnetIds": [subnet], "SecurityGroupIds": [group], "PrivateDnsEnabled": True,
    }  # fmt: skip
    made = {service: endpoint(world, vpc, service, **in_subnet) for service in ("ecr.api", "ecr.dkr")}
    made["s3"] = endpoint(world, vpc, "s3", VpcEndpointType="Gateway", RouteTableIds=[world.main_table(vpc)])
    world.settle()
    distribution = Distribution(
        world.region, outside, binary=found.find().bin_dir / "registry", ca_file=tmp_path / "ca.pem",
        folder=tmp_path / "registry", log=tmp_path / "registry.log",
    )  # fmt: skip
    try:
        distribution.start()
        yield Site(world, distribution, tmp_path, made, vpc, subnet, group, instance)
    finally:
        distribution.close()
        doors.close()
        resolvers.close()


def unseen(site: Site, megabytes: int, tag: str = "app:v1") -> archives.StoredImage:
    """An image that nobody has."""
    parts = found.find()
    return archives.unseen(parts.images[PAUSE].archive, tag, megabytes, site.folder / f"{tag.replace(':', '-')}.tar")


def trail(site: Site, **wanted: str) -> list[str]:
    """Operations in the Region's record whose fields are as wanted."""
    lines = [json.loads(line) for line in (site.folder / "region.jsonl").read_text().splitlines()]
    return [str(line["operation"]) for line in lines if all(line[name] == value for name, value in wanted.items())]
