"""The path from an instance to a service, explained from AWS's state: each broken thing is blamed, and nothing else."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from islanding.aws.look import read_view
from islanding.aws.view import Interface, View
from islanding.diagnosis import Status, explain_path
from islanding.lab.region.server import Region
from tests.unit.region_support import REGION, connect, fresh_region

LAYERS = f"prod-{REGION}-starport-layer-bucket"


@dataclass
class Closed:
    """A closed VPC: workers' and endpoints' subnets, endpoints for ECR, EC2 and S3, one worker."""

    clients: Callable[[str], Any]
    ec2: Any
    vpc: str = ""
    table: str = ""
    endpoint_group: str = ""
    endpoint_subnet: str = ""
    worker: str = ""
    s3: str = ""
    interface: dict[str, str] | None = None

    def view(self) -> View:
        """What describe calls say now."""
        found = read_view(self.clients, REGION, "123456789012")
        return replace(found, interfaces=tuple(map(self._placed, found.interfaces)))

    def _placed(self, interface: Interface) -> Interface:
        """moto draws an endpoint's addresses anywhere: here they are in the endpoint's subnet, as on AWS."""
        if interface.subnet != self.endpoint_subnet or interface.addresses[0].startswith("10.0.2."):
            return interface
        assert self.interface is not None
        return replace(interface, addresses=(f"10.0.2.{30 + int(interface.id[-2:], 16) % 200}",))

    def serve(self, service: str, *, private_dns: bool = True) -> str:
        """Make the interface endpoint of a service; its id."""
        made = self.ec2.create_vpc_endpoint(
            VpcId=self.vpc,
            VpcEndpointType="Interface",
            ServiceName=f"com.amazonaws.{REGION}.{service}",
            SubnetIds=[self.endpoint_subnet],
            SecurityGroupIds=[self.endpoint_group],
            PrivateDnsEnabled=private_dns,
        )
        return str(made["VpcEndpoint"]["VpcEndpointId"])

    def endpoint(self, service: str) -> str:
        assert self.interface is not None
        return self.interface[service]


@pytest.fixture(scope="module")
def clients(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], Any]]:
    """boto3 clients of a Region of an account of its own; all tests share them, since making one takes long."""
    found: dict[str, Any] = {}
    for region in fresh_region(tmp_path_factory.mktemp("region")):

        def client(service: str, region: Region = region) -> Any:
            if service not in found:
                found[service] = connect(region, service)
            return found[service]

        yield client


@pytest.fixture
def closed(clients: Callable[[str], Any]) -> Closed:
    """A closed VPC of the test's own, made by the same calls as a user makes."""
    ec2 = clients("ec2")
    site = Closed(clients, ec2)
    site.vpc = ec2.create_vpc(CidrBlock="10.0.0.0/16")["Vpc"]["VpcId"]
    ec2.modify_vpc_attribute(VpcId=site.vpc, EnableDnsHostnames={"Value": True})
    workers = ec2.create_subnet(VpcId=site.vpc, CidrBlock="10.0.1.0/24", AvailabilityZone=f"{REGION}a")
    ends = ec2.create_subnet(VpcId=site.vpc, CidrBlock="10.0.2.0/24", AvailabilityZone=f"{REGION}a")
    site.endpoint_subnet = ends["Subnet"]["SubnetId"]
    subnet = workers["Subnet"]["SubnetId"]
    site.table = ec2.create_route_table(VpcId=site.vpc)["RouteTable"]["RouteTableId"]
    ec2.associate_route_table(RouteTableId=site.table, SubnetId=subnet)
    group = ec2.create_security_group(GroupName="endpoints", Description="endpoints", VpcId=site.vpc)
    site.endpoint_group = group["GroupId"]
    ec2.authorize_security_group_ingress(GroupId=site.endpoint_group, IpPermissions=[https()])
    site.interface = {}
    for service in ("ecr.api", "ecr.dkr", "ec2"):
        site.interface[service] = site.serve(service)
    made = ec2.create_vpc_endpoint(
        VpcId=site.vpc,
        VpcEndpointType="Gateway",
        ServiceName=f"com.amazonaws.{REGION}.s3",
        RouteTableIds=[site.table],
        PolicyDocument=policy("s3:GetObject", f"arn:aws:s3:::{LAYERS}/*"),
    )
    site.s3 = made["VpcEndpoint"]["VpcEndpointId"]
    image = ec2.describe_images()["Images"][0]["ImageId"]
    run = ec2.run_instances(ImageId=image, MinCount=1, MaxCount=1, SubnetId=subnet, InstanceType="t3.small")
    site.worker = run["Instances"][0]["InstanceId"]
    return site


def https() -> dict[str, Any]:
    """Inbound HTTPS from the whole VPC."""
    return {"IpProtocol": "tcp", "FromPort": 443, "ToPort": 443, "IpRanges": [{"CidrIp": "10.0.0.0/16"}]}


def policy(action: str, resource: str, **more: Any) -> str:
    """An endpoint policy of one statement."""
    statement = {"Effect": "Allow", "Principal": "*", "Action": action, "Resource": resource, **more}
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


def remove(service: str) -> Callable[[Closed], str]:
    """An interface endpoint is removed."""

    def apply(closed: Closed) -> str:
        closed.ec2.delete_vpc_endpoints(VpcEndpointIds=[closed.endpoint(service)])
        return f"missing VPC endpoint: com.amazonaws.{REGION}.{service} in {closed.vpc}"

    return apply


def gateway_removed(closed: Closed) -> str:
    """The S3 gateway endpoint is removed."""
    closed.ec2.delete_vpc_endpoints(VpcEndpointIds=[closed.s3])
    return f"missing VPC endpoint: com.amazonaws.{REGION}.s3 in {closed.vpc}"


def table_not_associated(closed: Closed) -> str:
    """The workers' route table is taken from the gateway endpoint."""
    closed.ec2.modify_vpc_endpoint(VpcEndpointId=closed.s3, RemoveRouteTableIds=[closed.table])
    return f"VPC endpoint {closed.s3}: it is not associated with route table {closed.table}"


def policy_narrowed(closed: Closed) -> str:
    """The gateway endpoint's policy lacks the layer bucket."""
    narrow = policy("s3:GetObject", "arn:aws:s3:::other/*")
    closed.ec2.modify_vpc_endpoint(VpcEndpointId=closed.s3, PolicyDocument=narrow)
    why = f"no statement allows s3:GetObject on arn:aws:s3:::{LAYERS}/any"
    return f"VPC endpoint {closed.s3}: its policy does not allow s3:GetObject: {why}"


def private_dns_off(closed: Closed) -> str:
    """ecr.dkr has an endpoint without private DNS."""
    assert closed.interface is not None
    closed.ec2.delete_vpc_endpoints(VpcEndpointIds=[closed.endpoint("ecr.dkr")])
    closed.interface["ecr.dkr"] = closed.serve("ecr.dkr", private_dns=False)
    return f"VPC endpoint {closed.endpoint('ecr.dkr')}: PrivateDnsEnabled is false"


def group_closed(closed: Closed) -> str:
    """The endpoints' group loses its rule for 443."""
    closed.ec2.revoke_security_group_ingress(GroupId=closed.endpoint_group, IpPermissions=[https()])
    return f"security group {closed.endpoint_group} (endpoints): no inbound rule lets TCP 443 from"


def acl_closed(closed: Closed) -> str:
    """The endpoints' subnet gets a network ACL without rules."""
    acl = closed.ec2.create_network_acl(VpcId=closed.vpc)["NetworkAcl"]["NetworkAclId"]
    every = closed.ec2.describe_network_acls()["NetworkAcls"]
    held = [a for one in every for a in one["Associations"] if a["SubnetId"] == closed.endpoint_subnet]
    closed.ec2.replace_network_acl_association(AssociationId=held[0]["NetworkAclAssociationId"], NetworkAclId=acl)
    return f"network ACL {acl}:"


def dns_off(closed: Closed) -> str:
    """The VPC loses its resolver."""
    closed.ec2.modify_vpc_attribute(VpcId=closed.vpc, EnableDnsSupport={"Value": False})
    return f"VPC {closed.vpc}: enableDnsSupport is false"


# what is broken | what was to be reached | the step of it that fails | at which hop
C_09 = [
    (remove("ecr.api"), "image-pull", "token", "route"),
    (remove("ecr.dkr"), "image-pull", "manifest", "route"),
    (gateway_removed, "image-pull", "layer", "route"),
    (table_not_associated, "image-pull", "layer", "route"),
    (policy_narrowed, "image-pull", "layer", "policy"),
    (private_dns_off, "image-pull", "manifest", "address"),
    (group_closed, "image-pull", "token", "security group"),
    (acl_closed, "image-pull", "token", "network ACL"),
    (remove("ec2"), "ec2", "network plugin", "route"),
    (dns_off, "image-pull", "token", "name"),
]


@pytest.mark.parametrize("asked", ["image-pull", "ec2"])
def test_nothing_is_blamed_while_everything_is_there(closed: Closed, asked: str) -> None:
    """A closed VPC with all its endpoints: every hop is known and none fails."""
    found = explain_path(closed.view(), closed.worker, asked)

    assert [] == [hop for hop in found.hops if hop.status not in (Status.OK, Status.NOT_NEEDED)]
    assert found.blame is None
    assert found.conclusive


@pytest.mark.parametrize(("breaks", "asked", "step", "hop"), C_09)
def test_the_broken_thing_is_blamed(
    closed: Closed, breaks: Callable[[Closed], str], asked: str, step: str, hop: str
) -> None:
    """Each of the ten ways to break a closed network is found: step, hop, and the AWS object by its id."""
    blame = breaks(closed)

    found = explain_path(closed.view(), closed.worker, asked)

    assert (step, hop) == (found.step, found.failing.name if found.failing else "")
    assert str(found.blame).startswith(blame)
    assert found.conclusive


def test_a_route_to_the_internet_makes_the_endpoint_needless(closed: Closed) -> None:
    """Without the endpoint, but with an internet gateway and a public address, nothing is blamed for the address."""
    remove("ecr.api")(closed)
    gateway = closed.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    closed.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=closed.vpc)
    closed.ec2.create_route(RouteTableId=closed.table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    view = closed.view()

    without = explain_path(view, closed.worker, "ecr.api")
    public = tuple(replace(i, public="203.0.113.9") if i.instance == closed.worker else i for i in view.interfaces)
    found = explain_path(replace(view, interfaces=public), closed.worker, "ecr.api")

    assert "network interface" == (without.blame.kind if without.blame else "")
    assert found.failing is None


def test_a_missing_instance_is_the_answer(closed: Closed) -> None:
    """A terminated or unknown instance reaches nothing: that is said, and no endpoint is blamed."""
    closed.ec2.terminate_instances(InstanceIds=[closed.worker])

    gone = explain_path(closed.view(), closed.worker, "ecr.api")
    unknown = explain_path(closed.view(), "i-0123", "ecr.api")

    assert f"instance {closed.worker}: it is terminated" == str(gone.blame)
    assert "instance i-0123: there is no such instance" == str(unknown.blame)


def test_what_could_not_be_read_is_unknown_and_not_blamed(closed: Closed) -> None:
    """A call that is denied leaves a gap: absence of an endpoint then proves nothing."""
    closed.ec2.delete_vpc_endpoints(VpcEndpointIds=[closed.endpoint("ecr.api")])
    view = replace(closed.view(), endpoints=(), gaps=("ec2.describe_vpc_endpoints: not authorized",))

    found = explain_path(view, closed.worker, "ecr.api")

    assert found.failing is None
    assert not found.conclusive
    assert "not known to this diagnosis: ec2.describe_vpc_endpoints: not authorized" in found.notes
