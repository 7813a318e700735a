"""O-06, O-07, O-08 and O-13: who still gets in to a local cluster while the Region is away."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager

import pytest

from islanding.faults.apply import Applied
from islanding.kube.certificates import Operator, Prepared
from islanding.kube.names import with_files
from islanding.model import Site, Window
from islanding.outcomes import ALLOWED, FORBIDDEN, NAME_NOT_RESOLVED, UNAUTHORIZED, recognise
from islanding.probes.of_site import SiteProbes
from islanding.process import Result
from islanding.watching import Watch

Cut = Callable[..., AbstractContextManager[Applied]]
Physics = Callable[[str], AbstractContextManager[None]]


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-06")
def test_iam_is_unauthorized_while_the_region_is_away(
    probe: SiteProbes, watch: Callable[..., Watch], away: Cut, physics: Physics
) -> None:
    """An IAM identity is refused with Unauthorized, although the control plane is on the Outpost and answers."""
    by_iam = probe.kubectl("get", "svc", identity="operator", interval=3, overlap=14)
    with watch(by_iam, drain=40) as iam:
        iam.wait_for(ALLOWED, timeout=15)
        with away() as fault, physics("the authenticator's dial of STS, 30 s"):
            refused = iam.wait_for(UNAUTHORIZED, timeout=90, after=fault.end + 1)
        with physics("calls that met the cut"):
            iam.wait_for(ALLOWED, timeout=60, after=refused.end)
    assert "(Unauthorized)" in refused.text, refused.text
    # A token is made anew each second: from one second after the cut no call can be answered from the cache.
    iam.expect(UNAUTHORIZED, window=Window(start=fault.end + 1, end=refused.end), hole=31)


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-07")
def test_certificate_outlives_the_service_link(
    certificate: Prepared,
    probe: SiteProbes,
    watch: Callable[..., Watch],
    away: Cut,
    evidence: Callable[[str, str], None],
) -> None:
    """An operator who prepared a client certificate keeps access while the Region is away."""
    evidence(
        "the certificate",
        f"subject {certificate.subject}, issuer {certificate.issuer}, notAfter {certificate.not_after.isoformat()}",
    )
    who = certificate.identity
    by_certificate = probe.kubectl(
        "get",
        "svc",
        name="kubectl as X.509",
        kubeconfig=who.kubeconfig,
        identity="operator",
        method="x509",
        interval=0.5,
    )
    with watch(by_certificate, probe.bgp("service-link")) as (access, session):
        with away() as fault:
            last = access.wait_for(ALLOWED, timeout=30, after=fault.end + 10)
        access.wait_for(ALLOWED, timeout=30, after=last.end + 2)
    session.expect("NOT_ESTABLISHED", window=Window(start=fault.end + 1, end=last.end))
    access.expect(ALLOWED, throughout=True)


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-08")
def test_certificate_cannot_be_made_during_the_cut(
    site: Site,
    operator: Operator,
    certificate: Prepared,
    away: Cut,
    cut: Cut,
    physics: Physics,
    evidence: Callable[[str, str], None],
) -> None:
    """Without preparation there is no way in: nobody can authenticate to ask for a certificate or to approve one.

    A certificate of a user whom nobody bound, of a foreign authority, or past its time is refused too, each in its way.
    """
    expired = site.identity("expired")
    unbound = operator.prepare("nobody-bound", role="")
    foreign = operator.foreign("admin-foreign")
    with away():
        operator.forget_token()
        with physics("the authenticator's dial of STS, 30 s"):
            asked, _ = operator.request("too-late")
        said = {
            "request for a certificate, by IAM": asked,
            "unbound user": _as(operator, unbound.identity.kubeconfig),
            "foreign authority": _as(operator, foreign.kubeconfig),
            "expired": _as(operator, expired.kubeconfig),
            "prepared": _as(operator, certificate.identity.kubeconfig),
        }
    wanted = {
        "request for a certificate, by IAM": UNAUTHORIZED,
        "unbound user": FORBIDDEN,
        "foreign authority": UNAUTHORIZED,
        "expired": UNAUTHORIZED,
        "prepared": ALLOWED,
    }
    for who, result in said.items():
        evidence(who, result.stderr.strip() or result.stdout.strip())
        outcome = recognise("kubectl", result.exit_code, result.stderr or result.stdout)
        assert outcome.name == wanted[who].name, f"{who}: {outcome.name}: {result.stderr.strip()}"


def _as(operator: Operator, kubeconfig: str) -> Result:
    """What kubectl says to whoever has this kubeconfig."""
    return operator.place.run(["kubectl", f"--kubeconfig={kubeconfig}", "get", "svc"], check=False, timeout=200)


@pytest.mark.site("outpost-local")
@pytest.mark.requirement("O-13")
def test_a_hosts_entry_or_local_resolver_keeps_the_name(
    site: Site, certificate: Prepared, operator: Operator, away: Cut, cut: Cut, evidence: Callable[[str, str], None]
) -> None:
    """With the Region away the cluster's name is known by a local resolver or a hosts entry; else the failure is DNS's.

    Asked with the certificate, so that nothing but the name can fail: by the site's resolver, by the Region's, and by
    the Region's with an entry in the hosts file.
    """
    site.require("resolver")
    name = site.cluster.endpoint.removeprefix("https://")
    entry = f"{site.cluster.control_plane_addresses[0]} {name}"
    kubectl = ["kubectl", f"--kubeconfig={certificate.identity.kubeconfig}", "get", "svc"]
    region_only = with_files(site.facts["region_resolver"])
    region_and_hosts = with_files(site.facts["region_resolver"], entry)
    with away():
        said = {
            "site's resolver": operator.place.run(kubectl, check=False),
            "Region's resolver": operator.place.run([*region_only, *kubectl], check=False),
            "Region's resolver and a hosts entry": operator.place.run([*region_and_hosts, *kubectl], check=False),
        }
        with cut("resolver-lost"):
            said["site's resolver, lost"] = operator.place.run(kubectl, check=False)
            with_entry = [*with_files(site.facts["site_resolver"], entry), *kubectl]
            said["site's resolver, lost, and a hosts entry"] = operator.place.run(with_entry, check=False)
    for who, result in said.items():
        evidence(who, result.stderr.strip() or result.stdout.strip())
        outcome = recognise("kubectl", result.exit_code, result.stderr or result.stdout)
        works = who == "site's resolver" or who.endswith("hosts entry")
        assert outcome.name == (ALLOWED if works else NAME_NOT_RESOLVED).name, f"{who}: {outcome.name}: {result.stderr}"
