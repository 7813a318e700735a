"""Addresses that EC2 gives: lowest free, never twice, counted, public ones out of one range."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from ipaddress import ip_address, ip_network

from tests.unit.test_mends.support import IMAGE, Account, refusal


def primary(instances: list[dict[str, str]]) -> list[str]:
    """Their private addresses."""
    return [instance["PrivateIpAddress"] for instance in instances]


def test_the_first_address_is_the_fifth_of_the_subnet(account: Account) -> None:
    """AWS keeps the first four for itself."""
    assert primary(account.run(3)) == ["10.0.1.4", "10.0.1.5", "10.0.1.6"]


def test_an_address_that_is_let_go_is_given_again(account: Account) -> None:
    """The lowest free one comes next, also when it is a gap."""
    first = account.run(2)
    account.ec2.terminate_instances(InstanceIds=[first[0]["InstanceId"]])

    assert primary(account.run(2)) == ["10.0.1.4", "10.0.1.6"]


def test_a_wished_address_is_checked(account: Account) -> None:
    """Taken, reserved, and outside of the subnet: each is refused, a free one is had."""
    assert account.card(PrivateIpAddress="10.0.1.9")["PrivateIpAddress"] == "10.0.1.9"
    codes = {
        wished: refusal(account.card, PrivateIpAddress=wished)[0]
        for wished in ("10.0.1.9", "10.0.1.3", "10.0.1.255", "10.0.2.9")
    }

    assert codes == {
        "10.0.1.9": "InvalidIPAddress.InUse",
        "10.0.1.3": "InvalidParameterValue",
        "10.0.1.255": "InvalidParameterValue",
        "10.0.2.9": "InvalidParameterValue",
    }


def test_a_wished_address_at_launch_is_checked(account: Account) -> None:
    """As that of an interface."""
    assert primary(account.run(PrivateIpAddress="10.0.1.77")) == ["10.0.1.77"]
    codes = [refusal(account.run, PrivateIpAddress=f"10.0.1.{number}")[0] for number in (77, 1)]

    assert codes == ["InvalidIPAddress.InUse", "InvalidParameterValue"]


def test_the_count_of_free_addresses_is_true(account: Account) -> None:
    """A /24 has 251; secondary addresses count too."""
    account.run()
    account.card(SecondaryPrivateIpAddressCount=4)
    found = account.ec2.describe_subnets(SubnetIds=[account.subnets[0]])["Subnets"][0]

    assert found["AvailableIpAddressCount"] == 251 - 1 - 5


def test_a_full_subnet_gives_no_more(account: Account) -> None:
    """A /28 has eleven."""
    small = account.subnet("10.0.9.0/28")
    account.card(small, SecondaryPrivateIpAddressCount=10)
    found = refusal(account.card, subnet=small)

    assert found[0] == "InsufficientFreeAddressesInSubnet"
    assert refusal(account.run, SubnetId=small)[0] == "InsufficientFreeAddressesInSubnet"
    assert account.ec2.describe_subnets(SubnetIds=[small])["Subnets"][0]["AvailableIpAddressCount"] == 0


def test_a_launch_that_does_not_fit_leaves_nothing_behind(account: Account) -> None:
    """Two places, three instances: none is launched."""
    small = account.subnet("10.0.9.0/28")
    account.card(small, SecondaryPrivateIpAddressCount=8)
    found = refusal(account.run, count=3, SubnetId=small)

    assert found[0] == "InsufficientFreeAddressesInSubnet"
    assert len(account.cards(subnet_id=small)) == 1
    assert account.ec2.describe_instances()["Reservations"] == []


def test_calls_at_once_get_different_addresses_and_macs(account: Account) -> None:
    """A hundred at once: no address and no MAC twice."""
    with ThreadPoolExecutor(20) as pool:
        made = list(pool.map(lambda _: account.card(), range(60)))
    addresses = sorted((card["PrivateIpAddress"] for card in made), key=ip_address)

    assert addresses == [f"10.0.1.{number}" for number in range(4, 64)]
    assert len({card["MacAddress"] for card in made}) == len(made)


def test_public_addresses_are_distinct_and_of_aws(account: Account) -> None:
    """Elastic ones and those of launch come out of 54.150.0.0/16, each once."""
    account.ec2.modify_subnet_attribute(SubnetId=account.subnets[0], MapPublicIpOnLaunch={"Value": True})
    ids = [instance["InstanceId"] for instance in account.run(5)]
    found = account.ec2.describe_instances(InstanceIds=ids)["Reservations"][0]["Instances"]
    public = [instance["PublicIpAddress"] for instance in found]
    public += [account.ec2.allocate_address(Domain="vpc")["PublicIp"] for _ in range(5)]

    assert len(set(public)) == 10
    assert all(ip_address(address) in ip_network("54.150.0.0/16") for address in public)


def test_no_default_vpc_is_lent(account: Account) -> None:
    """Nothing is launched without a subnet, and no VPC or subnet is there that nobody made."""
    found = refusal(account.ec2.run_instances, ImageId=IMAGE, MinCount=1, MaxCount=1)

    assert "No default VPC for this user" in found[1]
    assert [vpc["VpcId"] for vpc in account.ec2.describe_vpcs()["Vpcs"]] == [account.vpc]
    assert {subnet["SubnetId"] for subnet in account.ec2.describe_subnets()["Subnets"]} == set(account.subnets)


def test_a_first_subnet_gives_no_public_addresses_unasked(account: Account) -> None:
    """moto calls the first subnet of a zone a default one."""
    found = account.ec2.describe_subnets(SubnetIds=account.subnets)["Subnets"]

    assert [(s["MapPublicIpOnLaunch"], s["DefaultForAz"]) for s in found] == [(False, False)] * 2
