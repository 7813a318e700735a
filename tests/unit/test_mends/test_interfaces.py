"""Network interfaces as the VPC CNI uses them: secondary addresses, limits, attachments, and what ends with what."""

from __future__ import annotations

from typing import Any

import pytest

from islanding.lab.region import mends
from tests.unit.region_support import REGION
from tests.unit.test_mends.support import Account, refusal


def addresses(card: dict[str, Any]) -> list[str]:
    """Private addresses of an interface, in its order."""
    return [item["PrivateIpAddress"] for item in card["PrivateIpAddresses"]]


def assigned(answer: dict[str, Any]) -> list[str]:
    """Addresses that AssignPrivateIpAddresses tells."""
    return [item["PrivateIpAddress"] for item in answer["AssignedPrivateIpAddresses"]]


def test_only_new_addresses_are_told(account: Account) -> None:
    """By count and by list; with the primary one among them ipamd would hand the node's own to a pod."""
    card = account.card()["NetworkInterfaceId"]
    assign = account.ec2.assign_private_ip_addresses
    counted = assign(NetworkInterfaceId=card, SecondaryPrivateIpAddressCount=2)
    listed = assign(NetworkInterfaceId=card, PrivateIpAddresses=["10.0.1.40"])

    assert (assigned(counted), assigned(listed)) == (["10.0.1.5", "10.0.1.6"], ["10.0.1.40"])
    assert addresses(account.cards(network_interface_id=card)[0]) == ["10.0.1.4", "10.0.1.5", "10.0.1.6", "10.0.1.40"]


def test_an_interface_has_groups_of_its_own_vpc(account: Account) -> None:
    """One of another VPC is refused, and one that is not there; its name is of the Region, not of us-east-1."""
    far = account.make_group("far", account.make_vpc("10.9.0.0/16"))
    codes = [refusal(account.card, Groups=[group])[0] for group in (far, "sg-00000000")]

    assert codes == ["InvalidParameter", "InvalidGroup.NotFound"]
    assert account.card(Groups=[account.group])["PrivateDnsName"] == f"ip-10-0-1-4.{REGION}.compute.internal"


def test_addresses_are_unassigned(account: Account) -> None:
    """A secondary one, never the primary one."""
    card = account.card(SecondaryPrivateIpAddressCount=2)
    identity = card["NetworkInterfaceId"]
    account.ec2.unassign_private_ip_addresses(NetworkInterfaceId=identity, PrivateIpAddresses=["10.0.1.5"])
    primary = refusal(
        account.ec2.unassign_private_ip_addresses, NetworkInterfaceId=identity, PrivateIpAddresses=["10.0.1.4"]
    )

    assert addresses(card) == ["10.0.1.4", "10.0.1.5", "10.0.1.6"]
    assert primary[0] == "InvalidParameterValue"
    assert addresses(account.cards(network_interface_id=identity)[0]) == ["10.0.1.4", "10.0.1.6"]


def test_limits_of_the_type_are_kept(account: Account) -> None:
    """t3.small: three interfaces with four addresses each, in the words that ipamd looks for."""
    mends.install(account.region.account, REGION, {"t3.small": (3, 4)})
    instance = account.run()[0]
    first = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    cards = [account.card()["NetworkInterfaceId"] for _ in range(3)]
    for device in (1, 2):
        account.ec2.attach_network_interface(
            NetworkInterfaceId=cards[device - 1], InstanceId=instance["InstanceId"], DeviceIndex=device
        )
    fourth = refusal(
        account.ec2.attach_network_interface, NetworkInterfaceId=cards[2], InstanceId=instance["InstanceId"],
        DeviceIndex=3,
    )  # fmt: skip
    assign = account.ec2.assign_private_ip_addresses
    assign(NetworkInterfaceId=first, SecondaryPrivateIpAddressCount=3)
    fifth = refusal(assign, NetworkInterfaceId=first, SecondaryPrivateIpAddressCount=1)

    assert (fourth[0], fifth[0]) == ("AttachmentLimitExceeded", "PrivateIpAddressLimitExceeded")
    assert len(addresses(account.cards(network_interface_id=first)[0])) == 4


def test_delete_on_termination_is_changed_and_obeyed(account: Account) -> None:
    """The first interface goes with its instance, an attached one stays until it is told to go."""
    ids = []
    for goes in (True, False):
        instance, card = account.run()[0]["InstanceId"], account.card()["NetworkInterfaceId"]
        attachment = account.ec2.attach_network_interface(NetworkInterfaceId=card, InstanceId=instance, DeviceIndex=1)[
            "AttachmentId"
        ]
        if goes:
            change = {"AttachmentId": attachment, "DeleteOnTermination": True}
            account.ec2.modify_network_interface_attribute(NetworkInterfaceId=card, Attachment=change)
        ids.append((instance, card))
    account.ec2.terminate_instances(InstanceIds=[instance for instance, _ in ids])
    left = account.cards(vpc_id=account.vpc)

    assert [card["NetworkInterfaceId"] for card in left] == [ids[1][1]]
    assert left[0]["Status"] == "available"


def test_groups_of_an_interface_are_replaced(account: Account) -> None:
    """moto would keep those of the instance as well."""
    instance = account.run(SecurityGroupIds=[account.group])[0]
    card = instance["NetworkInterfaces"][0]["NetworkInterfaceId"]
    other = account.make_group("others")
    account.ec2.modify_network_interface_attribute(NetworkInterfaceId=card, Groups=[other])
    shown = account.ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"][0]

    assert [g["GroupId"] for g in account.cards(network_interface_id=card)[0]["Groups"]] == [other]
    assert [g["GroupId"] for g in shown["SecurityGroups"]] == [other]


def test_an_interface_in_use_is_not_deleted(account: Account) -> None:
    """Only after it is detached."""
    instance, card = account.run()[0]["InstanceId"], account.card()["NetworkInterfaceId"]
    attachment = account.ec2.attach_network_interface(NetworkInterfaceId=card, InstanceId=instance, DeviceIndex=1)
    code, message = refusal(account.ec2.delete_network_interface, NetworkInterfaceId=card)
    account.ec2.detach_network_interface(AttachmentId=attachment["AttachmentId"])
    account.ec2.delete_network_interface(NetworkInterfaceId=card)

    assert code == "InvalidParameterValue"
    assert message.endswith("is currently in use.")
    assert account.cards(network_interface_id=card) == []


@pytest.mark.parametrize(
    ("name", "value", "count"),
    [
        ("attachment.instance-id", "INSTANCE", 1), ("attachment.status", "attached", 1), ("status", "available", 1),
        ("status", "in-use", 1), ("subnet-id", "SUBNET", 2), ("group-id", "GROUP", 1), ("vpc-id", "VPC", 2),
        ("tag:cluster", "one", 1), ("tag:cluster", "two", 0), ("tag-key", "cluster", 1),
        ("private-ip-address", "10.0.1.5", 1), ("addresses.private-ip-address", "10.0.1.6", 1),
        ("interface-type", "interface", 2), ("interface-type", "vpc_endpoint", 0), ("requester-managed", "true", 0),
        ("description", "spare", 1), ("mac-address", "MAC", 1),
    ],
)  # fmt: skip
def test_filters_filter(account: Account, name: str, value: str, count: int) -> None:
    """Those that ipamd and tools use with DescribeNetworkInterfaces."""
    instance = account.run()[0]["InstanceId"]
    tags = [{"ResourceType": "network-interface", "Tags": [{"Key": "cluster", "Value": "one"}]}]
    card = account.card(
        SecondaryPrivateIpAddressCount=1, Groups=[account.group], Description="spare", TagSpecifications=tags
    )
    known = {
        "INSTANCE": instance, "SUBNET": account.subnets[0], "GROUP": account.group, "VPC": account.vpc,
        "MAC": card["MacAddress"],
    }  # fmt: skip
    found = account.ec2.describe_network_interfaces(Filters=[{"Name": name, "Values": [known.get(value, value)]}])

    assert len(found["NetworkInterfaces"]) == count
