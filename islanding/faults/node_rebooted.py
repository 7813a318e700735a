"""A node is rebooted by its own systemd, as an operator would; there is nothing to undo but to wait."""

from __future__ import annotations

from dataclasses import dataclass

from islanding.faults._boot import answers, boot_of, node_of
from islanding.faults._fault import Fault, Health
from islanding.faults._plan import Command, Plan, new_id
from islanding.model import Site


@dataclass(frozen=True)
class NodeRebooted(Fault):
    """The node named `node` reboots (`systemctl reboot`)."""

    node: str

    kind = "node-rebooted"

    def plan(self, site: Site) -> Plan:
        node = node_of(site, self.node)
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=node.name,
            summary=f"{node.name} ({node.instance_id}) reboots: `systemctl reboot`",
            before={"boot": boot_of(site, node)},
            apply=(Command(place=node.place, argv=("systemctl", "reboot"), disconnects=True),),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        if not answers(site, site.node(self.node)):
            return Health(True, f"{self.node} is down")
        return self.is_healed(site, plan)

    def is_healed(self, site: Site, plan: Plan) -> Health:
        rebooted = boot_of(site, site.node(self.node)) != plan.before["boot"]
        return Health(rebooted, f"{self.node} answers{' after its reboot' if rebooted else ', not rebooted yet'}")

    def nothing_left(self, site: Site, plan: Plan) -> Health:
        return answers(site, site.node(self.node))  # a reboot that was planned and never asked for leaves nothing
