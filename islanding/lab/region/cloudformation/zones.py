"""Resource types of Route 53: private hosted zones and their records."""

from __future__ import annotations

import contextlib
import uuid
from typing import Any

from islanding.lab.region.cloudformation.resource import Context, Made, Properties, chosen, resource_type, truth


def _zone(c: Context, p: Properties) -> Made:
    route53 = c.clients("route53")
    vpcs = [{"VPCRegion": str(v["VPCRegion"]), "VPCId": str(v["VPCId"])} for v in p.get("VPCs") or []]
    wanted: dict[str, Any] = {"Name": p["Name"], "CallerReference": str(uuid.uuid4())}
    about = {**(p.get("HostedZoneConfig") or {}), **({"PrivateZone": True} if vpcs else {})}
    wanted |= {"VPC": vpcs[0]} if vpcs else {}
    wanted |= {"HostedZoneConfig": about} if about else {}
    identity = str(route53.create_hosted_zone(**wanted)["HostedZone"]["Id"]).rsplit("/", 1)[-1]
    c.begin(identity)
    for vpc in vpcs[1:]:
        route53.associate_vpc_with_hosted_zone(HostedZoneId=identity, VPC=vpc)
    if given := [{"Key": str(t["Key"]), "Value": str(t["Value"])} for t in p.get("HostedZoneTags") or []]:
        route53.change_tags_for_resource(ResourceType="hostedzone", ResourceId=identity, AddTags=given)
    return Made(identity, {"Id": identity})


def _record_change(c: Context, action: str, p: Properties) -> None:
    record: dict[str, Any] = {"Name": p["Name"], "Type": p["Type"]}
    if "AliasTarget" in p:
        record["AliasTarget"] = {
            **p["AliasTarget"], "EvaluateTargetHealth": truth(p["AliasTarget"].get("EvaluateTargetHealth", False)),
        }  # fmt: skip
    else:
        record |= {"TTL": int(p.get("TTL", 300)), "ResourceRecords": [{"Value": str(v)} for v in p["ResourceRecords"]]}
    c.clients("route53").change_resource_record_sets(
        HostedZoneId=p["HostedZoneId"],
        ChangeBatch={
            "Changes": [{"Action": action, "ResourceRecordSet": record}],
            **chosen(p, "Comment"),
        },
    )


def _record(c: Context, p: Properties) -> Made:
    _record_change(c, "CREATE", p)
    return Made(str(p["Name"]))


def _record_gone(c: Context, _i: str, p: Properties) -> None:
    with contextlib.suppress(c.clients("route53").exceptions.NoSuchHostedZone):
        _record_change(c, "DELETE", p)


resource_type(
    "AWS::Route53::HostedZone", "!Name VPCs HostedZoneConfig HostedZoneTags", _zone,
    lambda c, i, _p: c.clients("route53").delete_hosted_zone(Id=i),
)  # fmt: skip


def _record_changed(c: Context, made: Made, _old: Properties, new: Properties) -> Made:
    _record_change(c, "UPSERT", new)
    return made


resource_type(
    "AWS::Route53::RecordSet", "!HostedZoneId !Name !Type TTL ResourceRecords AliasTarget Comment", _record,
    _record_gone, _record_changed, "TTL ResourceRecords AliasTarget Comment",
)  # fmt: skip
