"""Resource types of instances: instances, addresses, network interfaces, key pairs."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterable
from typing import Any

from islanding.lab.region.cloudformation.network import retag, tags
from islanding.lab.region.cloudformation.resource import (
    Context,
    Made,
    Properties,
    chosen,
    resource_type,
    truth,
)
from islanding.lab.region.cloudformation.template import invalid
from islanding.lab.region.errors import AwsError

_INSTANCE = (
    "ImageId InstanceType KeyName SubnetId SecurityGroupIds IamInstanceProfile UserData PrivateIpAddress"
    " NetworkInterfaces MetadataOptions BlockDeviceMappings SourceDestCheck CreditSpecification EbsOptimized Monitoring"
    " AvailabilityZone LaunchTemplate Tags PropagateTagsToVolumeOnCreation"
)
_NUMBERS = {"VolumeSize", "Iops", "Throughput", "DeviceIndex", "HttpPutResponseHopLimit", "NetworkCardIndex"}
_TRUTHS = {"DeleteOnTermination", "Encrypted", "AssociatePublicIpAddress", "Enabled", "EbsOptimized"}


def typed(value: Any, key: str = "") -> Any:
    """A value as boto3 wants it: a template's numbers and truths may be texts, and its texts may be numbers."""
    if isinstance(value, dict):
        return {k: typed(v, k) for k, v in value.items()}
    if isinstance(value, list):
        return [typed(v, key) for v in value]
    if key in _NUMBERS:
        return int(value)
    return truth(value) if key in _TRUTHS else str(value)


def interfaces(given: Iterable[Properties]) -> list[dict[str, Any]]:
    """An instance's network interfaces as RunInstances takes them."""
    made = []
    for card in given:
        wanted = {("Groups" if k == "GroupSet" else k): typed(v, k) for k, v in card.items()}
        made.append({"DeviceIndex": 0, **wanted})
    return made


def user_data(value: Any) -> bytes:
    """User data as a template has it, base64, in the clear: boto3 encodes it itself."""
    try:
        return base64.b64decode(str(value), validate=True)
    except binascii.Error as error:
        raise invalid("Invalid BASE64 encoding of user data") from error


def _instance(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(p, "ImageId InstanceType KeyName SubnetId SecurityGroupIds PrivateIpAddress")
    wanted |= {k: typed(v, k) for k, v in chosen(p, "LaunchTemplate MetadataOptions BlockDeviceMappings").items()}
    if "UserData" in p:
        wanted["UserData"] = user_data(p["UserData"])
    if "IamInstanceProfile" in p:
        wanted["IamInstanceProfile"] = {"Name": p["IamInstanceProfile"]}
    if "NetworkInterfaces" in p:
        wanted["NetworkInterfaces"] = interfaces(p["NetworkInterfaces"])
    if "CreditSpecification" in p:
        wanted["CreditSpecification"] = {"CpuCredits": str(p["CreditSpecification"]["CPUCredits"])}
    if "EbsOptimized" in p:
        wanted["EbsOptimized"] = truth(p["EbsOptimized"])
    if "Monitoring" in p:
        wanted["Monitoring"] = {"Enabled": truth(p["Monitoring"])}
    if "AvailabilityZone" in p:
        wanted["Placement"] = {"AvailabilityZone": p["AvailabilityZone"]}
    answer = ec2.run_instances(MinCount=1, MaxCount=1, **wanted, **_tags(p))
    identity = c.begin(str(answer["Instances"][0]["InstanceId"]))
    if "SourceDestCheck" in p:
        ec2.modify_instance_attribute(InstanceId=identity, SourceDestCheck={"Value": truth(p["SourceDestCheck"])})
    return _instance_made(c, identity)


def _tags(p: Properties) -> dict[str, Any]:
    made = tags("instance", p)
    if made and truth(p.get("PropagateTagsToVolumeOnCreation", False)):
        made["TagSpecifications"] += tags("volume", p)["TagSpecifications"]
    return made


def _instance_made(c: Context, identity: str) -> Made:
    found = c.clients("ec2").describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]
    attributes = {
        "InstanceId": identity,
        "PrivateIp": str(found.get("PrivateIpAddress", "")),
        "PrivateDnsName": str(found.get("PrivateDnsName", "")),
        "PublicIp": str(found.get("PublicIpAddress", "")),
        "PublicDnsName": str(found.get("PublicDnsName", "")),
        "AvailabilityZone": str(found.get("Placement", {}).get("AvailabilityZone", "")),
        "VpcId": str(found.get("VpcId", "")),
    }
    return Made(identity, attributes)


def _instance_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    ec2 = c.clients("ec2")
    if "SecurityGroupIds" in new:
        ec2.modify_instance_attribute(InstanceId=made.id, Groups=list(new["SecurityGroupIds"]))
    checked = {"Value": truth(new.get("SourceDestCheck", True))}
    ec2.modify_instance_attribute(InstanceId=made.id, SourceDestCheck=checked)
    retag(c, made.id, old, new)
    return made


def _instance_ready(c: Context, identity: str) -> bool:
    found = c.clients("ec2").describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]
    if found["State"]["Name"] not in ("pending", "running"):
        raise AwsError("NotStabilized", f"Instance {identity} did not stabilize: it is {found['State']['Name']}")
    return str(found["State"]["Name"]) == "running"


resource_type(
    "AWS::EC2::Instance", _INSTANCE, _instance,
    lambda c, i, _p: c.clients("ec2").terminate_instances(InstanceIds=[i]), _instance_changed,
    "SecurityGroupIds SourceDestCheck Tags", _instance_ready,
)  # fmt: skip


def _address(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    pool = chosen(p, "PublicIpv4Pool")
    made = ec2.allocate_address(Domain=str(p.get("Domain", "vpc")), **pool, **tags("elastic-ip", p))
    c.begin(made["PublicIp"])
    if "InstanceId" in p:
        ec2.associate_address(AllocationId=made["AllocationId"], InstanceId=p["InstanceId"])
    return Made(made["PublicIp"], {"AllocationId": made["AllocationId"], "PublicIp": made["PublicIp"]})


def _address_gone(c: Context, identity: str, _p: Properties) -> None:
    ec2 = c.clients("ec2")
    found = ec2.describe_addresses(PublicIps=[identity])["Addresses"][0]
    if found.get("AssociationId"):
        ec2.disassociate_address(AssociationId=found["AssociationId"])
    ec2.release_address(AllocationId=found["AllocationId"])


def _address_association(c: Context, p: Properties) -> Made:
    wanted = chosen(p, "AllocationId InstanceId NetworkInterfaceId PrivateIpAddress")
    return Made(c.clients("ec2").associate_address(**wanted)["AssociationId"])


def _address_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    retag(c, made.attributes["AllocationId"], old, new)
    return made


resource_type(
    "AWS::EC2::EIP", "Domain InstanceId Tags PublicIpv4Pool", _address, _address_gone, _address_changed, "Tags"
)
resource_type(
    "AWS::EC2::EIPAssociation", "!AllocationId InstanceId NetworkInterfaceId PrivateIpAddress", _address_association,
    lambda c, i, _p: c.clients("ec2").disassociate_address(AssociationId=i),
)  # fmt: skip


def _interface(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(p, "SubnetId PrivateIpAddress Description", GroupSet="Groups")
    if "SecondaryPrivateIpAddressCount" in p:
        wanted["SecondaryPrivateIpAddressCount"] = int(p["SecondaryPrivateIpAddressCount"])
    made = ec2.create_network_interface(**wanted, **tags("network-interface", p))["NetworkInterface"]
    c.begin(made["NetworkInterfaceId"])
    if "SourceDestCheck" in p:
        value = {"Value": truth(p["SourceDestCheck"])}
        ec2.modify_network_interface_attribute(NetworkInterfaceId=made["NetworkInterfaceId"], SourceDestCheck=value)
    attributes = {
        "Id": made["NetworkInterfaceId"],
        "PrimaryPrivateIpAddress": made["PrivateIpAddress"],
        "VpcId": str(made.get("VpcId", "")),
    }
    return Made(made["NetworkInterfaceId"], attributes)


def _interface_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    change = c.clients("ec2").modify_network_interface_attribute
    if new.get("GroupSet") and new.get("GroupSet") != old.get("GroupSet"):
        change(NetworkInterfaceId=made.id, Groups=list(new["GroupSet"]))
    if new.get("Description") != old.get("Description"):
        change(NetworkInterfaceId=made.id, Description={"Value": str(new.get("Description", ""))})
    if new.get("SourceDestCheck") != old.get("SourceDestCheck"):
        change(NetworkInterfaceId=made.id, SourceDestCheck={"Value": truth(new.get("SourceDestCheck", True))})
    retag(c, made.id, old, new)
    return made


def _interface_attachment(c: Context, p: Properties) -> Made:
    wanted = chosen(p, "InstanceId NetworkInterfaceId")
    ec2 = c.clients("ec2")
    made = ec2.attach_network_interface(DeviceIndex=int(p["DeviceIndex"]), **wanted)
    c.begin(made["AttachmentId"])
    if "DeleteOnTermination" in p:
        end = {"AttachmentId": made["AttachmentId"], "DeleteOnTermination": truth(p["DeleteOnTermination"])}
        ec2.modify_network_interface_attribute(NetworkInterfaceId=p["NetworkInterfaceId"], Attachment=end)
    return Made(made["AttachmentId"], {"AttachmentId": made["AttachmentId"]})


resource_type(
    "AWS::EC2::NetworkInterface",
    "!SubnetId PrivateIpAddress Description GroupSet SecondaryPrivateIpAddressCount SourceDestCheck Tags", _interface,
    lambda c, i, _p: c.clients("ec2").delete_network_interface(NetworkInterfaceId=i), _interface_changed,
    "Description GroupSet SourceDestCheck Tags",
)  # fmt: skip
resource_type(
    "AWS::EC2::NetworkInterfaceAttachment", "!InstanceId !NetworkInterfaceId !DeviceIndex DeleteOnTermination",
    _interface_attachment, lambda c, i, _p: c.clients("ec2").detach_network_interface(AttachmentId=i, Force=True),
)  # fmt: skip


def _key_pair(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    marked = tags("key-pair", p)
    if "PublicKeyMaterial" in p:
        material = str(p["PublicKeyMaterial"]).encode()
        made = ec2.import_key_pair(KeyName=p["KeyName"], PublicKeyMaterial=material, **marked)
    else:
        made = ec2.create_key_pair(KeyName=p["KeyName"], **chosen(p, "KeyType"), **marked)
        _keep_private_key(c, made)
    facts = {"KeyPairId": made.get("KeyPairId", ""), "KeyFingerprint": made.get("KeyFingerprint", "")}
    return Made(p["KeyName"], facts)


def _keep_private_key(c: Context, made: Properties) -> None:
    """The private half goes to the Parameter Store, as CloudFormation does (its guide, AWS::EC2::KeyPair)."""
    c.begin(made["KeyName"])
    name = f"/ec2/keypair/{made['KeyPairId']}"
    c.clients("ssm").put_parameter(Name=name, Value=made["KeyMaterial"], Type="SecureString")


def _key_pair_gone(c: Context, identity: str, p: Properties) -> None:
    found = c.clients("ec2").describe_key_pairs(KeyNames=[identity])["KeyPairs"][0]
    if "PublicKeyMaterial" not in p:
        c.clients("ssm").delete_parameters(Names=[f"/ec2/keypair/{found['KeyPairId']}"])
    c.clients("ec2").delete_key_pair(KeyName=identity)


resource_type("AWS::EC2::KeyPair", "!KeyName PublicKeyMaterial KeyType Tags", _key_pair, _key_pair_gone)
