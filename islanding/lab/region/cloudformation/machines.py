"""Resource types of instances: instances, addresses, interfaces, key pairs, launch templates, Auto Scaling groups."""

from __future__ import annotations

from typing import Any

from islanding.lab.region.cloudformation.network import tags
from islanding.lab.region.cloudformation.resource import Context, Made, Properties, chosen, listed, resource_type, truth
from islanding.lab.region.errors import AwsError

_INSTANCE = (
    "ImageId InstanceType KeyName SubnetId SecurityGroupIds IamInstanceProfile UserData PrivateIpAddress"
    " NetworkInterfaces MetadataOptions BlockDeviceMappings SourceDestCheck CreditSpecification EbsOptimized Monitoring"
    " AvailabilityZone LaunchTemplate Tags PropagateTagsToVolumeOnCreation"
)


def _options(given: Properties) -> dict[str, Any]:
    numbers = {"HttpPutResponseHopLimit": int}
    return {k: numbers.get(k, str)(v) for k, v in given.items()}


def _cards(given: list[Properties]) -> list[dict[str, Any]]:
    made = []
    for card in given:
        wanted = chosen(card, "NetworkInterfaceId SubnetId PrivateIpAddress Description", GroupSet="Groups")
        wanted |= chosen(card, "Groups")
        wanted["DeviceIndex"] = int(card.get("DeviceIndex", 0))
        for name in ("DeleteOnTermination", "AssociatePublicIpAddress"):
            if name in card:
                wanted[name] = truth(card[name])
        made.append(wanted)
    return made


def _instance(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(
        p, "ImageId InstanceType KeyName SubnetId SecurityGroupIds PrivateIpAddress UserData LaunchTemplate"
    )
    if "UserData" in wanted:  # base64 in a template, plain in boto3
        wanted["UserData"] = _decoded(wanted["UserData"])
    if "IamInstanceProfile" in p:
        wanted["IamInstanceProfile"] = {"Name": p["IamInstanceProfile"]}
    if "MetadataOptions" in p:
        wanted["MetadataOptions"] = _options(p["MetadataOptions"])
    if "NetworkInterfaces" in p:
        wanted["NetworkInterfaces"] = _cards(p["NetworkInterfaces"])
    answer = ec2.run_instances(MinCount=1, MaxCount=1, **wanted, **tags("instance", p))
    identity = str(answer["Instances"][0]["InstanceId"])
    if "SourceDestCheck" in p:
        ec2.modify_instance_attribute(InstanceId=identity, SourceDestCheck={"Value": truth(p["SourceDestCheck"])})
    found = ec2.describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]
    return Made(
        identity,
        {
            "InstanceId": identity,
            "PrivateIp": str(found.get("PrivateIpAddress", "")),
            "PrivateDnsName": str(found.get("PrivateDnsName", "")),
            "PublicIp": str(found.get("PublicIpAddress", "")),
            "PublicDnsName": str(found.get("PublicDnsName", "")),
            "AvailabilityZone": str(found.get("Placement", {}).get("AvailabilityZone", "")),
            "VpcId": str(found.get("VpcId", "")),
        },
    )


def _decoded(value: str) -> bytes:
    import base64

    return base64.b64decode(value)


def _instance_ready(c: Context, identity: str) -> bool:
    found = c.clients("ec2").describe_instances(InstanceIds=[identity])["Reservations"][0]["Instances"][0]
    return str(found["State"]["Name"]) == "running"


resource_type(
    "AWS::EC2::Instance", _INSTANCE, _instance,
    lambda c, i, _p: c.clients("ec2").terminate_instances(InstanceIds=[i]), wait=_instance_ready,
)  # fmt: skip


def _address(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    made = ec2.allocate_address(Domain="vpc", **tags("elastic-ip", p))
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


resource_type("AWS::EC2::EIP", "Domain InstanceId Tags PublicIpv4Pool", _address, _address_gone)
resource_type(
    "AWS::EC2::EIPAssociation", "AllocationId InstanceId NetworkInterfaceId PrivateIpAddress", _address_association,
    lambda c, i, _p: c.clients("ec2").disassociate_address(AssociationId=i),
)  # fmt: skip


def _interface(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    wanted = chosen(p, "SubnetId PrivateIpAddress Description", GroupSet="Groups")
    if "SecondaryPrivateIpAddressCount" in p:
        wanted["SecondaryPrivateIpAddressCount"] = int(p["SecondaryPrivateIpAddressCount"])
    made = ec2.create_network_interface(**wanted, **tags("network-interface", p))["NetworkInterface"]
    if "SourceDestCheck" in p:
        value = {"Value": truth(p["SourceDestCheck"])}
        ec2.modify_network_interface_attribute(NetworkInterfaceId=made["NetworkInterfaceId"], SourceDestCheck=value)
    attributes = {"Id": made["NetworkInterfaceId"], "PrimaryPrivateIpAddress": made["PrivateIpAddress"]}
    return Made(made["NetworkInterfaceId"], attributes)


def _interface_attachment(c: Context, p: Properties) -> Made:
    wanted = chosen(p, "InstanceId NetworkInterfaceId")
    made = c.clients("ec2").attach_network_interface(DeviceIndex=int(p["DeviceIndex"]), **wanted)
    return Made(made["AttachmentId"], {"AttachmentId": made["AttachmentId"]})


resource_type(
    "AWS::EC2::NetworkInterface",
    "SubnetId PrivateIpAddress Description GroupSet SecondaryPrivateIpAddressCount SourceDestCheck Tags", _interface,
    lambda c, i, _p: c.clients("ec2").delete_network_interface(NetworkInterfaceId=i),
)  # fmt: skip
resource_type(
    "AWS::EC2::NetworkInterfaceAttachment", "InstanceId NetworkInterfaceId DeviceIndex DeleteOnTermination",
    _interface_attachment, lambda c, i, _p: c.clients("ec2").detach_network_interface(AttachmentId=i, Force=True),
)  # fmt: skip


def _key_pair(c: Context, p: Properties) -> Made:
    ec2 = c.clients("ec2")
    if "PublicKeyMaterial" in p:
        made = ec2.import_key_pair(KeyName=p["KeyName"], PublicKeyMaterial=str(p["PublicKeyMaterial"]).encode())
    else:
        made = ec2.create_key_pair(KeyName=p["KeyName"])
    return Made(
        p["KeyName"], {"KeyPairId": made.get("KeyPairId", ""), "KeyFingerprint": made.get("KeyFingerprint", "")}
    )


resource_type(
    "AWS::EC2::KeyPair", "KeyName PublicKeyMaterial KeyType Tags", _key_pair,
    lambda c, i, _p: c.clients("ec2").delete_key_pair(KeyName=i),
)  # fmt: skip


# -- groups of instances -------------------------------------------------------------------------------------------------


def _template_data(given: Properties) -> dict[str, Any]:
    data = {k: v for k, v in given.items() if k not in ("MetadataOptions", "NetworkInterfaces", "BlockDeviceMappings")}
    if "MetadataOptions" in given:
        data["MetadataOptions"] = _options(given["MetadataOptions"])
    if "NetworkInterfaces" in given:
        data["NetworkInterfaces"] = _cards(given["NetworkInterfaces"])
    return data


def _launch_template(c: Context, p: Properties) -> Made:
    name = str(p.get("LaunchTemplateName", c.name))
    data = _template_data(p["LaunchTemplateData"])
    made = c.clients("ec2").create_launch_template(LaunchTemplateName=name, LaunchTemplateData=data)["LaunchTemplate"]
    return _launch_template_made(made)


def _launch_template_made(made: Properties) -> Made:
    versions = {f"{w}VersionNumber": str(made[f"{w}VersionNumber"]) for w in ("Latest", "Default")}
    return Made(made["LaunchTemplateId"], {"LaunchTemplateId": made["LaunchTemplateId"], **versions})


def _launch_template_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    ec2 = c.clients("ec2")
    data = _template_data(new["LaunchTemplateData"])
    ec2.create_launch_template_version(LaunchTemplateId=made.id, LaunchTemplateData=data)
    return _launch_template_made(ec2.describe_launch_templates(LaunchTemplateIds=[made.id])["LaunchTemplates"][0])


resource_type(
    "AWS::EC2::LaunchTemplate", "LaunchTemplateName LaunchTemplateData TagSpecifications VersionDescription",
    _launch_template, lambda c, i, _p: c.clients("ec2").delete_launch_template(LaunchTemplateId=i),
    _launch_template_changed, "LaunchTemplateData VersionDescription",
)  # fmt: skip

_CONFIGURATION = (
    "LaunchConfigurationName ImageId InstanceType KeyName SecurityGroups IamInstanceProfile UserData"
    " AssociatePublicIpAddress BlockDeviceMappings EbsOptimized InstanceMonitoring MetadataOptions SpotPrice"
)


def _launch_configuration(c: Context, p: Properties) -> Made:
    name = str(p.get("LaunchConfigurationName", c.name))
    wanted = chosen(p, "ImageId InstanceType KeyName SecurityGroups IamInstanceProfile")
    if "UserData" in p:
        wanted["UserData"] = _decoded(str(p["UserData"])).decode()
    if "AssociatePublicIpAddress" in p:
        wanted["AssociatePublicIpAddress"] = truth(p["AssociatePublicIpAddress"])
    if "MetadataOptions" in p:
        wanted["MetadataOptions"] = _options(p["MetadataOptions"])
    c.clients("autoscaling").create_launch_configuration(LaunchConfigurationName=name, **wanted)
    return Made(name)


resource_type(
    "AWS::AutoScaling::LaunchConfiguration", _CONFIGURATION, _launch_configuration,
    lambda c, i, _p: c.clients("autoscaling").delete_launch_configuration(LaunchConfigurationName=i),
)  # fmt: skip

_GROUP = (
    "AutoScalingGroupName MinSize MaxSize DesiredCapacity VPCZoneIdentifier LaunchTemplate LaunchConfigurationName"
    " HealthCheckType HealthCheckGracePeriod Cooldown TerminationPolicies AvailabilityZones Tags"
    " NewInstancesProtectedFromScaleIn CapacityRebalance"
)


def _sizes(p: Properties) -> dict[str, Any]:
    wanted: dict[str, Any] = {k: int(p[k]) for k in ("MinSize", "MaxSize", "DesiredCapacity") if k in p}
    if "VPCZoneIdentifier" in p:
        wanted["VPCZoneIdentifier"] = ",".join(listed(p["VPCZoneIdentifier"]))
    if "LaunchTemplate" in p:
        wanted["LaunchTemplate"] = {k: str(v) for k, v in p["LaunchTemplate"].items()}
    return wanted | chosen(p, "LaunchConfigurationName HealthCheckType AvailabilityZones")


def _group(c: Context, p: Properties) -> Made:
    name = str(p.get("AutoScalingGroupName", c.name))
    given = [
        {
            "ResourceId": name,
            "ResourceType": "auto-scaling-group",
            "Key": str(t["Key"]),
            "Value": str(t["Value"]),
            "PropagateAtLaunch": truth(t["PropagateAtLaunch"]),
        }
        for t in p.get("Tags") or []
    ]
    c.clients("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, **_sizes(p), Tags=given)
    return Made(name)


def _group_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    c.clients("autoscaling").update_auto_scaling_group(AutoScalingGroupName=made.id, **_sizes(new))
    return made


def _group_gone(c: Context, identity: str, _p: Properties) -> None:
    """Its instances end with it, as CloudFormation deletes a group."""
    c.clients("autoscaling").delete_auto_scaling_group(AutoScalingGroupName=identity, ForceDelete=True)
    left = [{"Name": "tag:aws:autoscaling:groupName", "Values": [identity]}]
    states = [{"Name": "instance-state-name", "Values": ["pending", "running", "stopping", "stopped"]}]
    found = c.clients("ec2").describe_instances(Filters=[*left, *states])["Reservations"]
    if ids := [i["InstanceId"] for r in found for i in r["Instances"]]:
        c.clients("ec2").terminate_instances(InstanceIds=ids)


def _group_ready(c: Context, identity: str) -> bool:
    group = c.clients("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[identity])["AutoScalingGroups"]
    if not group:
        raise AwsError("ValidationError", f"AutoScalingGroup {identity} is not there")
    return len(group[0]["Instances"]) >= int(group[0]["DesiredCapacity"])


resource_type(
    "AWS::AutoScaling::AutoScalingGroup", _GROUP, _group, _group_gone, _group_changed,
    "MinSize MaxSize DesiredCapacity VPCZoneIdentifier LaunchTemplate LaunchConfigurationName HealthCheckType",
    wait=_group_ready,
)  # fmt: skip
