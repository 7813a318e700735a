"""The Outposts' cases run where no lab is: from a desk on the site's LAN that reaches what an engineer's computer does.

That is: the AWS endpoints by their names, machines of the Outpost and the workload through the local gateway, and SSH
to the site's own router and resolver, and to somebody's machine in the Region. A filter drops whatever goes anywhere
else. The site is adopted by `islanding run --target aws` from a file. ISLANDING_LIVE selects the cases as `-k` does, at
both sites; `ISLANDING_LIVE=test` runs all of them, `'test or yaml'` the experiments too (a quarter of an hour a site).
"""

from __future__ import annotations

import os
import re
import sys
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding.aws import recording
from islanding.journal import read
from islanding.lab import launch, registry
from islanding.model import Cluster, Site
from islanding.outpostconf import FACTS, OPTIONAL
from islanding.process import run
from tests.lab.ssh_server import ssh_server
from tests.lab.test_live_path import addresses, inside, key_of

# Each uses another way: the router's shell, AWS calls and kubectl, a cut at the router, a node's commands.
QUICK = (
    "test_sessions_are_established or test_local_control_plane_is_on_the_outpost or "
    "test_cut_shows_in_bgp_and_in_cloudwatch or test_names_of_the_region_are_lost"
)
CHOSEN = os.environ.get("ISLANDING_LIVE", "")
SITES = ("outpost-local", "outpost-extended") if CHOSEN else ("outpost-local",)
SERVICES = ("ec2", "sts", "eks", "s3", "autoscaling", "monitoring", "logs", "api.ecr")
ROUTER, RESOLVER, REGION = "cnd", "resolver", "region"
UNUSED = 2222  # a port at which the router answers too, and that the fence closes
FENCE = """
table inet fence
delete table inet fence
table inet fence {{
  chain out {{
    type filter hook output priority 0; policy drop;
    oifname "lo" accept
    ip daddr {{ {aws} }} tcp dport 443 accept
    ip daddr {{ {resolvers} }} meta l4proto {{ tcp, udp }} th dport 53 accept
    ip daddr {{ {hosts} }} tcp dport 22 accept
    ip daddr {{ {outpost} }} tcp dport {{ 22, 443, {port} }} accept
    ip daddr {{ {control_plane} }} tcp dport 443 accept
    counter
  }}
}}
"""


@pytest.fixture(scope="module", params=SITES)
def lab(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Lab]:
    """A site of its own, as the fence stays until it is down."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISLANDING_STATE", str(tmp_path_factory.mktemp("live") / "state"))
        lab = launch.up(request.param)
        yield lab
        launch.down(lab)


@pytest.fixture(scope="module")
def site(lab: registry.Lab, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """The site, whose router, resolver and machine in the Region let SSH in, and whose operator's desk is fenced."""
    site = Site.load(lab.site_file)
    with ExitStack() as running:
        for name in (ROUTER, RESOLVER, REGION):
            folder = tmp_path_factory.mktemp(name)
            running.enter_context(ssh_server(lab, site, name, operators_key(lab), folder, 22, UNUSED))
        enter = site.place("operator").enter
        assert 0 == inside(enter, *knock(gateway(site))).returncode
        resolvers = [site.facts[name] for name in ("site_resolver", "region_resolver")]
        fence = FENCE.format(
            aws=", ".join(sorted(addresses(enter, site, SERVICES))),
            resolvers=", ".join(resolvers),
            hosts=", ".join((gateway(site), site.facts["site_resolver"], region_address(site))),
            outpost=", ".join(
                place.address for place in site.places if place.role in ("node", "control-plane", "proxy")
            ),
            port=site.workload.url.rsplit(":", 1)[1].rstrip("/"),
            control_plane=", ".join(site.cluster.control_plane_addresses),
        )
        fenced = inside(enter, "nft", "-f", "-", stdin=fence)
        assert 0 == fenced.returncode, fenced.stderr
        assert 124 == inside(enter, *knock(gateway(site))).returncode  # timeout(1)
        yield site


def knock(address: str) -> tuple[str, ...]:
    """A command that succeeds when the unused port answers."""
    return ("timeout", "3", "bash", "-c", f"</dev/tcp/{address}/{UNUSED}")


def gateway(site: Site) -> str:
    """The router's address on the LAN."""
    shown = site.place(ROUTER).run(["ip", "-4", "-o", "addr", "show", "dev", "lan"]).stdout
    return str(re.findall(r"inet (\S+)/", shown)[0])


def region_address(site: Site) -> str:
    """The public address of the machine in the Region."""
    shown = site.place(REGION).run(["ip", "-4", "-o", "addr", "show", "dev", "pub0"]).stdout
    return str(re.findall(r"inet (\S+)/", shown)[0])


def operators_key(lab: registry.Lab) -> str:
    """The file of the private key of whoever logs in."""
    return key_of(lab, "ssh_config")


@pytest.fixture
def state() -> Iterator[str]:
    """A state folder with a short path: SSH's sockets are in it."""
    with tempfile.TemporaryDirectory(prefix="live") as folder:
        yield folder


def test_an_adopted_outpost_needs_no_lab(lab: registry.Lab, site: Site, tmp_path: Path, state: str) -> None:
    """From behind the fence the cases pass, and the facts are those that the site's makers know."""
    operator = site.place("operator")
    (tmp_path / "my-outpost.yaml").write_text(my_site(lab, site))
    environment = [f"{name}={value}" for name, value in operator.env.items()]
    command = [sys.executable, "-m", "islanding", "run", "--target", "aws", "--site", f"{tmp_path}/my-outpost.yaml"]
    chosen = ["--run", f"{tmp_path}/run", "-k", CHOSEN or QUICK]

    done = inside(operator.enter, "env", *environment, f"ISLANDING_STATE={state}", *command, *chosen, timeout=3600)

    said = f"exit code {done.returncode}; run in {tmp_path}/run\n{done.stdout[-6000:]}\n{done.stderr[-2000:]}"
    finished = [e for e in read(tmp_path / "run" / "journal.jsonl") if e.type == "case-finished"]
    verdicts = {e["case"]: e["verdict"] for e in finished}
    sys.stdout.write("".join(f"\n{verdict} {case}" for case, verdict in verdicts.items()) + "\n")
    assert 0 == done.returncode, said
    assert (len(verdicts) >= 4, set(verdicts.values())) == (True, {"pass"}), said
    adopted = Site.load(Path(state) / "targets" / "mine" / "site.json")
    assert ("aws", {}) == (adopted.target, adopted.lacking)
    assert [] == [place.name for place in adopted.places if any("nsenter" in word for word in place.enter)]
    same = (set(site.facts) & set(adopted.facts)) - {"ssh_config"}
    assert {name: site.facts[name] for name in same} == {name: adopted.facts[name] for name in same}
    assert set(FACTS) - OPTIONAL <= set(adopted.facts)
    assert (site.outpost_arn, site.workload, site.timers) == (adopted.outpost_arn, adopted.workload, adopted.timers)
    assert site.sessions == adopted.sessions
    assert known(site.cluster) == known(adopted.cluster)
    check = ("iam-policy", "--site", site.name, "--check", f"{tmp_path}/run/{recording.NAME}")
    compared = run([sys.executable, "-m", "islanding", *check], check=False).stdout
    assert "called and not allowed: nothing\n" in compared, compared
    if CHOSEN:
        assert "allowed and never called: nothing\n" in compared, compared
    nodes = [{(n.name, n.instance_id, n.address, n.role) for n in one.nodes} for one in (site, adopted)]
    assert nodes[0] == nodes[1]


def known(cluster: Cluster) -> dict[str, Any]:
    """What AWS tells of a cluster, its addresses in order; the pods' range is the network plugin's own affair."""
    told = cluster.model_dump(exclude={"pod_cidr"})
    return {**told, "control_plane_addresses": sorted(cluster.control_plane_addresses)}


def my_site(lab: registry.Lab, site: Site) -> str:
    """The site's file, as its owner would write it."""
    home = f"{lab.folder}/desks/operator"
    router = site.router(ROUTER)
    root = {"user": "root"}
    conf: dict[str, Any] = {
        "name": "mine",
        "like": site.name,
        "account": site.aws.account,
        "region": site.aws.region,
        "cluster": site.cluster.name,
        "reach": {"kind": "direct", "key": operators_key(lab)},
        "operator": {"kubeconfig": f"{home}/operator.kubeconfig"},
        "timers": site.timers.model_dump(),
        "routers": [
            {
                "name": router.name,
                "role": router.role,
                "asn": router.asn,
                "address": gateway(site),
                "vtysh": f"vtysh -N {router.name}",
                **root,
            }
        ],
        "sessions": [one.model_dump(mode="json") for one in site.sessions],
        "resolver": {"address": site.facts["site_resolver"], **root},
        "region_view": {"address": region_address(site), "kubeconfig": f"{home}/operator.kubeconfig", **root},
        "identities": [
            {"name": one.name, "kind": one.kind, "kubeconfig": one.kubeconfig, "note": one.note}
            for one in site.identities
            if one.name != "operator"
        ],
        "facts": {"metric_period": site.facts["metric_period"]},
    }
    if site.cluster.control_plane == "region":
        conf["outpost_arn"] = site.outpost_arn
    return yaml.safe_dump(conf)
