"""Resource types of groups of instances: launch templates, launch configurations, Auto Scaling groups."""

from __future__ import annotations

from typing import Any

from islanding.lab.region.cloudformation.machines import interfaces, typed, user_data
from islanding.lab.region.cloudformation.resource import Context, Made, Properties, chosen, listed, resource_type, truth
from islanding.lab.region.errors import AwsError


def _template_data(given: Properties) -> dict[str, Any]:
    data = {k: typed(v, k) for k, v in given.items() if k not in ("NetworkInterfaces", "CreditSpecification")}
    if "NetworkInterfaces" in given:
        data["NetworkInterfaces"] = interfaces(given["NetworkInterfaces"])
    if "CreditSpecification" in given:
        data["CreditSpecification"] = {"CpuCredits": str(given["CreditSpecification"]["CpuCredits"])}
    return data


def _launch_template(c: Context, p: Properties) -> Made:
    wanted: dict[str, Any] = {"LaunchTemplateData": _template_data(p["LaunchTemplateData"])}
    wanted |= chosen(p, "VersionDescription")
    if "TagSpecifications" in p:
        wanted["TagSpecifications"] = typed(p["TagSpecifications"])
    name = str(p.get("LaunchTemplateName") or c.short_name(128))
    return _launch_template_made(
        c.clients("ec2").create_launch_template(LaunchTemplateName=name, **wanted)["LaunchTemplate"]
    )


def _launch_template_made(made: Properties) -> Made:
    versions = {f"{w}VersionNumber": str(made[f"{w}VersionNumber"]) for w in ("Latest", "Default")}
    return Made(made["LaunchTemplateId"], {"LaunchTemplateId": made["LaunchTemplateId"], **versions})


def _launch_template_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    ec2 = c.clients("ec2")
    data = _template_data(new["LaunchTemplateData"])
    about = chosen(new, "VersionDescription")
    ec2.create_launch_template_version(LaunchTemplateId=made.id, LaunchTemplateData=data, **about)
    return _launch_template_made(ec2.describe_launch_templates(LaunchTemplateIds=[made.id])["LaunchTemplates"][0])


resource_type(
    "AWS::EC2::LaunchTemplate", "LaunchTemplateName !LaunchTemplateData TagSpecifications VersionDescription",
    _launch_template, lambda c, i, _p: c.clients("ec2").delete_launch_template(LaunchTemplateId=i),
    _launch_template_changed, "LaunchTemplateData VersionDescription",
)  # fmt: skip

_CONFIGURATION = (
    "LaunchConfigurationName !ImageId InstanceType KeyName SecurityGroups IamInstanceProfile UserData"
    " AssociatePublicIpAddress BlockDeviceMappings EbsOptimized InstanceMonitoring MetadataOptions SpotPrice"
)


def _launch_configuration(c: Context, p: Properties) -> Made:
    name = str(p.get("LaunchConfigurationName") or c.short_name(255))
    wanted = chosen(p, "ImageId InstanceType KeyName SecurityGroups IamInstanceProfile SpotPrice")
    wanted |= {k: typed(v, k) for k, v in chosen(p, "BlockDeviceMappings EbsOptimized MetadataOptions").items()}
    if "UserData" in p:
        wanted["UserData"] = user_data(p["UserData"]).decode()
    if "InstanceMonitoring" in p:
        wanted["InstanceMonitoring"] = {"Enabled": truth(p["InstanceMonitoring"])}
    if "AssociatePublicIpAddress" in p:
        wanted["AssociatePublicIpAddress"] = truth(p["AssociatePublicIpAddress"])
    c.clients("autoscaling").create_launch_configuration(LaunchConfigurationName=name, **wanted)
    return Made(name)


resource_type(
    "AWS::AutoScaling::LaunchConfiguration", _CONFIGURATION, _launch_configuration,
    lambda c, i, _p: c.clients("autoscaling").delete_launch_configuration(LaunchConfigurationName=i),
)  # fmt: skip

_GROUP = (
    "AutoScalingGroupName !MinSize !MaxSize DesiredCapacity VPCZoneIdentifier LaunchTemplate LaunchConfigurationName"
    " HealthCheckType HealthCheckGracePeriod Cooldown TerminationPolicies AvailabilityZones Tags"
    " NewInstancesProtectedFromScaleIn CapacityRebalance"
)


def _settings(p: Properties) -> dict[str, Any]:
    numbers = {"HealthCheckGracePeriod": "HealthCheckGracePeriod", "Cooldown": "DefaultCooldown"}
    wanted: dict[str, Any] = {k: int(p[k]) for k in ("MinSize", "MaxSize", "DesiredCapacity") if k in p}
    wanted |= {theirs: int(p[ours]) for ours, theirs in numbers.items() if ours in p}
    wanted |= {k: truth(p[k]) for k in ("NewInstancesProtectedFromScaleIn", "CapacityRebalance") if k in p}
    if "VPCZoneIdentifier" in p:
        wanted["VPCZoneIdentifier"] = ",".join(listed(p["VPCZoneIdentifier"]))
    if "LaunchTemplate" in p:
        wanted["LaunchTemplate"] = {k.replace("Specification", ""): str(v) for k, v in p["LaunchTemplate"].items()}
    return wanted | chosen(p, "LaunchConfigurationName HealthCheckType AvailabilityZones TerminationPolicies")


def _group_tags(name: str, p: Properties) -> list[dict[str, Any]]:
    about = {"ResourceId": name, "ResourceType": "auto-scaling-group"}
    return [
        {**about, "Key": str(t["Key"]), "Value": str(t["Value"]), "PropagateAtLaunch": truth(t["PropagateAtLaunch"])}
        for t in p.get("Tags") or []
    ]


def _group(c: Context, p: Properties) -> Made:
    name = str(p.get("AutoScalingGroupName") or c.short_name(255))
    tags = _group_tags(name, p)
    c.clients("autoscaling").create_auto_scaling_group(AutoScalingGroupName=name, **_settings(p), Tags=tags)
    return Made(name)


def _group_changed(c: Context, made: Made, old: Properties, new: Properties) -> Made:
    scaling = c.clients("autoscaling")
    scaling.update_auto_scaling_group(AutoScalingGroupName=made.id, **_settings(new))
    before, after = _group_tags(made.id, old), _group_tags(made.id, new)
    kept = {tag["Key"] for tag in after}
    if gone := [tag for tag in before if tag["Key"] not in kept]:
        scaling.delete_tags(Tags=gone)
    if after and after != before:
        scaling.create_or_update_tags(Tags=after)
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
    return len([i for i in group[0]["Instances"] if i["LifecycleState"] == "InService"]) >= int(
        group[0]["DesiredCapacity"]
    )


resource_type(
    "AWS::AutoScaling::AutoScalingGroup", _GROUP, _group, _group_gone, _group_changed,
    "MinSize MaxSize DesiredCapacity VPCZoneIdentifier LaunchTemplate LaunchConfigurationName HealthCheckType"
    " HealthCheckGracePeriod Cooldown TerminationPolicies NewInstancesProtectedFromScaleIn CapacityRebalance Tags",
    _group_ready,
)  # fmt: skip
