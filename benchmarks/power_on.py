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
from islanding.journal import Journal
from islanding.lab import kernel, namespaces, parts, underlay
from islanding.lab.bringup import Lab
from islanding.lab.machine import Machine, Nic
from islanding.wait import wait_until

SITE = "outpost-local"
TEN = 10
ROUNDS = 5


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
    lab._region()
    kernel.apply(underlay.site_plan(conf))
    lab._resolvers()
    lab._routers()  # the resolver is in the Region: without an answer cloud-init waits 30 s
    lab.account.open_in_lab()
    lab.account.create_objects({})
    return [lab._machine(i, {}) for i in conf.instances if i.role == "worker"]


def greeting(machine: Machine) -> bytes:
    """What sshd says first; raises OSError while it does not answer."""
    cable = machine.spec.cabling
    assert isinstance(cable, Nic)  # noqa: S101  # what this benchmark gave it
    address = cable.address.partition("/")[0]
    with socket.create_connection((address, 22), timeout=0.5) as connection:
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

            return namespaces.in_netns(underlay.OND, greeted)

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
