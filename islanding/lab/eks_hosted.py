"""A cluster as the EKS service hosts it, and the timers of its control plane."""

from __future__ import annotations

from dataclasses import dataclass, field

from islanding.lab.machine import Machine, MachineFile
from islanding.lab.pki import Authority

# Who may come in at the public endpoint.
PUBLIC_FILTER = """\
table inet endpoint
delete table inet endpoint
table inet endpoint {{
  chain input {{
    type filter hook input priority 0; policy accept;
    iifname "pub0" ct state established,related accept
    iifname "pub0" tcp dport {port} {accept}
    iifname "pub0" drop
  }}
}}
"""


@dataclass
class Hosted:
    """One cluster as the service hosts it."""

    name: str
    host: str  # the machine's name, and that of its network namespace
    endpoint_name: str
    public_address: str
    ca: Authority
    group: str = ""  # id of the cluster security group
    interfaces: dict[str, str] = field(default_factory=dict)  # id -> private address
    machine: Machine | None = None
    cluster_id: str = ""  # of a local cluster, whose control plane is instances
    seats: dict[str, str] = field(default_factory=dict)  # of a local one: name of each instance -> private address
    disks: dict[str, dict[str, MachineFile]] = field(default_factory=dict, repr=False)  # of a local one, by address
    instances: list[str] = field(default_factory=list)  # of a local one: their ids

    @property
    def addresses(self) -> tuple[str, ...]:
        """Where the control plane is in the cluster's VPC."""
        return tuple(self.seats.values() or self.interfaces.values())


@dataclass(frozen=True)
class Timing:
    """Timers of every cluster's control plane, in seconds; AWS's cannot be set by its users."""

    node_grace: float = 50.0
    eviction: int = 300
    large_cluster_size_threshold: int = 100000  # EKS's own (docs/facts.md 3)
    node_status: float = 10.0  # of the kubelets of a local control plane
    node_lease: int = 40
