"""From an instance's power-on to its sshd's greeting: one machine, and ten at once, on fresh disks."""

from __future__ import annotations

import json
import socket
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from statistics import median

from benchmarks import throwaway
from islanding import siteconf
from islanding.aws import stacks
from islanding.journal import Journal
from islanding.lab import amis, kernel, namespaces, outpost_stacks, parts, underlay
from islanding.lab.access import KEY_NAME
from islanding.lab.bringup import Lab
from islanding.lab.machine import Machine
from islanding.wait import wait_until

SITE = "outpost-local"
TEN = 10
ROUNDS = 5
ADDRESSES: dict[str, str] = {}  # of the machines
ROUTER: list[str] = []  # the VPC's on the Outpost, from which they are seen


def configuration() -> siteconf.SiteConf:
    """The site's network with ten workers on it, none of which will be told to join anything."""
    instances = [{"name": "cp-1", "role": "control-plane", "address": "10.2.1.10", "where": "outpost"}]
    instances += [{"name": f"w-{n}", "role": "worker", "address": f"10.2.1.{20 + n}"} for n in range(TEN)]
    return siteconf.load(siteconf.find(SITE), overrides={"instances": instances})


def machines(folder: Path) -> list[Machine]:
    """Ten machines of a lab that has network, Region, metadata service and resolver, but no cluster."""
    conf, found = configuration(), parts.find()
    pid = json.loads((folder / "lab.json").read_text())["pid"]
    journal = Journal(folder / "logs" / "events.jsonl", site=conf.name)
    site_folder = siteconf.find(SITE).parent
    lab = Lab(conf, site_folder=site_folder, lab_id=folder.name, folder=folder, pid=pid, parts=found, journal=journal)
    lab._pods = {}  # an image without anything of Kubernetes
    kernel.apply(underlay.site_plan(conf))
    lab._aws()
    lab._routers()  # the resolver is in the Region: without an answer cloud-init waits 30 s
    lab._open()
    template = (site_folder / conf.templates.network).read_text()
    parameters = outpost_stacks.network_parameters(conf)
    made = stacks.deploy(lab.client("cloudformation"), "power-on", template, parameters, lambda _: None, poll=0.1)
    ec2, fleet = lab.client("ec2"), lab.world.fleet
    ids = []
    for instance in outpost_stacks.workers(conf):
        answer = ec2.run_instances(
            ImageId=amis.NODE,
            InstanceType="m5.large",
            MinCount=1,
            MaxCount=1,
            KeyName=KEY_NAME,
            SubnetId=made["OutpostSubnetId"],
            PrivateIpAddress=str(instance.address),
            SecurityGroupIds=[made["MachineGroupId"]],
        )
        ids.append(str(answer["Instances"][0]["InstanceId"]))
    there = wait_until("ten machines", lambda: [fleet.machine(i) for i in ids], timeout=60)
    wait_until("their power", fleet.settled, timeout=60)
    for machine in there:
        machine.power_off()
    ROUTER.append(f"{conf.outpost.id}-{made['VpcId']}")
    ADDRESSES.update({s.id: s.private_address for s in lab.world.region.instances()})
    return there


def greeting(machine: Machine) -> bytes:
    """What sshd says first; raises OSError while it does not answer."""
    with socket.create_connection((ADDRESSES[machine.name], 22), timeout=0.5) as connection:
        return connection.recv(64)


def boot(chosen: list[Machine]) -> list[float]:
    """Lay fresh disks, power on all at once, and return the seconds until each machine's sshd greets."""
    with ThreadPoolExecutor(len(chosen)) as pool:
        list(pool.map(Machine.create_disk, chosen))
        begun = time.monotonic()

        def until_greeted(machine: Machine) -> float:
            machine.power_on()

            def greeted() -> float:
                wait_until(
                    f"sshd of {machine.name}",
                    lambda: greeting(machine),
                    timeout=60,
                    interval=0.02,
                    done=lambda said: said.startswith(b"SSH-2.0"),
                )
                return time.monotonic() - begun

            return namespaces.in_netns(ROUTER[0], greeted)

        seconds = list(pool.map(until_greeted, chosen))
        list(pool.map(Machine.power_off, chosen))
    return seconds


def main() -> None:
    """`python -m benchmarks.power_on FOLDER`, in namespaces of its own."""
    folder = Path(sys.argv[1])
    throwaway.prepare(folder)
    all_ten = machines(folder)
    singles = [boot(all_ten[:1])[0] for _ in range(ROUNDS)]
    ten = max(boot(all_ten))
    throwaway.report(one=median(singles), singles=singles, ten=ten)


if __name__ == "__main__":
    main()
