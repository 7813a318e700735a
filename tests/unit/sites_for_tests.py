"""A site on this machine, for tests: every place is here."""

from __future__ import annotations

import os
from pathlib import Path

from islanding.model import AwsAccess, Cluster, Identity, Place, Site, Timers, Workload
from islanding.sites import process_started


def save_site(folder: Path, *, name: str, url: str = "http://127.0.0.1:1/", record: str = "") -> Path:
    """Write the description of a site whose operator is this machine, kept alive by this process; returns its path."""
    folder.mkdir(parents=True, exist_ok=True)
    site = Site(
        name=name,
        target="lab",
        id=f"{name}-test",
        folder=str(folder),
        record=record,
        cluster=Cluster(
            name="c",
            arn="arn:aws:eks:eu-north-1:111122223333:cluster/c",
            version="1.36",
            endpoint="https://127.0.0.1:6443",
            control_plane="outpost",
            control_plane_addresses=("127.0.0.1",),
            service_cidr="10.100.0.0/16",
            pod_cidr="10.244.0.0/16",
        ),
        workload=Workload(name="web", namespace="default", replicas=3, url=url, image="nginx"),
        aws=AwsAccess(region="eu-north-1", account="111122223333"),
        timers=Timers(bgp_hold=3, node_grace=16, eviction=300),
        places=(Place(name="operator", role="operator", address="127.0.0.1"),),
        identities=(Identity(name="admin", kind="x509", kubeconfig=str(folder / "kubeconfig")),),
    )
    path = folder / "site.json"
    site.save(path)
    (folder / "lab.json").write_text(f'{{"pid": {os.getpid()}, "started": {process_started(os.getpid())}}}')
    return path
