"""RunInstances: how many are launched, and what of a launch template they get."""

from __future__ import annotations

import base64
import json
from typing import Any

from islanding.lab.region import mends
from tests.unit.region_support import REGION, connect
from tests.unit.test_mends.support import IMAGE, Account, refusal


def launch(account: Account, least: int, most: int, **more: Any) -> list[Any]:
    """Instances of a call with both numbers, in the first subnet."""
    wanted = {"ImageId": IMAGE, "InstanceType": "t3.small", "SubnetId": account.subnets[0]} | more
    return list(account.ec2.run_instances(MinCount=least, MaxCount=most, **wanted)["Instances"])


def template(account: Account, **data: Any) -> dict[str, str]:
    """A launch template of that data, as RunInstances is told of it."""
    made = account.ec2.create_launch_template(
        LaunchTemplateName="t", LaunchTemplateData={"ImageId": IMAGE, "InstanceType": "t3.small", **data}
    )
    return {"LaunchTemplateId": made["LaunchTemplate"]["LaunchTemplateId"]}


def test_the_greatest_number_is_launched(account: Account) -> None:
    """moto launches the least one."""
    assert len(launch(account, 1, 4)) == 4


def test_as_many_are_launched_as_there_are_addresses(account: Account) -> None:
    """Between least and most; a /28 has eleven."""
    small = account.subnet("10.0.9.0/28")
    account.card(small, SecondaryPrivateIpAddressCount=7)

    assert len(launch(account, 2, 9, SubnetId=small)) == 3


def test_a_template_gives_profile_and_metadata_options(account: Account) -> None:
    """To each instance; what the call says itself counts more."""
    iam = connect(account.region, "iam")
    iam.create_role(RoleName="Node", AssumeRolePolicyDocument=json.dumps({"Statement": []}))
    iam.create_instance_profile(InstanceProfileName="nodes")
    iam.add_role_to_instance_profile(InstanceProfileName="nodes", RoleName="Node")
    account.ec2.create_key_pair(KeyName="key")
    made = template(
        account,
        KeyName="key",
        IamInstanceProfile={"Name": "nodes"},
        MetadataOptions={"HttpTokens": "required", "HttpPutResponseHopLimit": 2},
        UserData=base64.b64encode(b"#!/bin/sh\n").decode(),
    )
    wanted = {"SubnetId": account.subnets[0], "MinCount": 2, "MaxCount": 2, "LaunchTemplate": made}
    account.ec2.run_instances(**wanted)
    account.ec2.run_instances(**wanted | {"MinCount": 1, "MaxCount": 1}, MetadataOptions={"HttpTokens": "optional"})
    found = [(i.role, i.key_name, i.http_tokens, i.user_data) for i in account.region.instances()]

    assert found == [("Node", "key", tokens, b"#!/bin/sh\n") for tokens in ("required", "required", "optional")]


def test_a_template_gives_interfaces(account: Account) -> None:
    """Their groups and subnet, where the call names none."""
    cards = [{"DeviceIndex": 0, "SubnetId": account.subnets[1], "Groups": [account.group]}]
    made = template(account, NetworkInterfaces=cards)
    account.ec2.run_instances(MinCount=1, MaxCount=1, LaunchTemplate=made)
    (state,) = account.region.instances()

    assert (state.subnet, [group for group, _ in state.cards[0].groups]) == (account.subnets[1], [account.group])


def test_interfaces_end_with_their_instance_unless_they_were_there_before(account: Account) -> None:
    """Those that the launch made go; one that was attached becomes available, asked otherwise it goes too."""
    before, asked = (account.card()["NetworkInterfaceId"] for _ in range(2))
    (instance,) = account.run()
    for device, card in enumerate((before, asked), 1):
        made = account.ec2.attach_network_interface(
            NetworkInterfaceId=card, InstanceId=instance["InstanceId"], DeviceIndex=device
        )
        if card == asked:
            change = {"AttachmentId": made["AttachmentId"], "DeleteOnTermination": True}
            account.ec2.modify_network_interface_attribute(NetworkInterfaceId=card, Attachment=change)
    account.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])

    assert [(c["NetworkInterfaceId"], c["Status"]) for c in account.cards()] == [(before, "available")]


def test_an_instance_that_has_ended_outlives_its_subnet(account: Account) -> None:
    """It is told of as terminated, by EC2 and to the lab, when its subnet has been deleted."""
    (instance,) = account.run()
    account.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    account.ec2.delete_subnet(SubnetId=account.subnets[0])
    (described,) = account.ec2.describe_instances(InstanceIds=[instance["InstanceId"]])["Reservations"][0]["Instances"]
    (state,) = account.region.instances()

    assert (described["State"]["Name"], state.state, state.subnet) == ("terminated", "terminated", "")


def test_the_labs_images_are_found_and_no_others(account: Account) -> None:
    """By name and owner, as those who look for an EKS-optimised image do."""
    images = {"ami-0e5c0de0e5c0de001": "amazon-eks-node-1.36-v20260101", IMAGE: "amzn2-ami-hvm-2.0-x86_64-gp2"}
    mends.install(account.region.account, REGION, images=images)
    named = [{"Name": "name", "Values": ["amazon-eks-node-*"]}]
    found = account.ec2.describe_images(Owners=["602401143452"], Filters=named)["Images"]

    assert [(image["ImageId"], image["State"]) for image in found] == [("ami-0e5c0de0e5c0de001", "available")]
    assert {image["ImageId"] for image in account.ec2.describe_images()["Images"]} == set(images)
    assert refusal(account.run, ImageId="not-an-ami")[0] == "InvalidAMIID.Malformed"


def test_a_public_address_goes_with_the_interface_and_not_with_the_instance(account: Account) -> None:
    """What is associated with an instance that ends is free again."""
    gateway = account.ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    account.ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=account.vpc)
    (instance,) = account.run()
    address = account.ec2.allocate_address(Domain="vpc")["AllocationId"]
    account.ec2.associate_address(AllocationId=address, InstanceId=instance["InstanceId"])
    account.ec2.terminate_instances(InstanceIds=[instance["InstanceId"]])
    found = account.ec2.describe_addresses(AllocationIds=[address])["Addresses"][0]

    assert "AssociationId" not in found
    account.ec2.release_address(AllocationId=address)


def test_a_version_of_another_version_launches_as_that_one_does(account: Account) -> None:
    """CreateLaunchTemplateVersion with SourceVersion keeps what the call does not name."""
    account.ec2.create_key_pair(KeyName="key")
    made = template(account, KeyName="key", UserData=base64.b64encode(b"#!/bin/sh\n").decode())
    account.ec2.create_launch_template_version(
        **made, SourceVersion="1", LaunchTemplateData={"InstanceType": "t3.large"}
    )
    wanted = {"SubnetId": account.subnets[0], "MinCount": 1, "MaxCount": 1}
    account.ec2.run_instances(**wanted, LaunchTemplate=made | {"Version": "2"})
    found = [(i.key_name, i.user_data) for i in account.region.instances()]

    assert found == [("key", b"#!/bin/sh\n")]


def test_a_version_has_user_data_of_its_own(account: Account) -> None:
    """It counts more than that of its source."""
    made = template(account, UserData=base64.b64encode(b"#!/bin/sh\n").decode())
    own = {"UserData": base64.b64encode(b"#!/bin/bash\n").decode()}
    account.ec2.create_launch_template_version(**made, SourceVersion="1", LaunchTemplateData=own)
    wanted = {"SubnetId": account.subnets[0], "MinCount": 1, "MaxCount": 1}
    account.ec2.run_instances(**wanted, LaunchTemplate=made | {"Version": "2"})

    assert [i.user_data for i in account.region.instances()] == [b"#!/bin/bash\n"]
