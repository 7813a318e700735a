"""The site's AWS account: its Region served where it can be reached, and the AWS objects that the site is made of.

Objects are made through the API, as a user would make them, by the identity that a user would take.
"""

from __future__ import annotations

import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

from islanding.lab import namespaces, underlay
from islanding.lab.access import KEY_NAME, Access
from islanding.lab.region.instances import InstanceState
from islanding.lab.region.metrics import LinkState
from islanding.lab.region.server import Region, host_names

if TYPE_CHECKING:
    from islanding.lab.bringup import Lab
    from islanding.lab.machine import Machine

POWER_OPERATIONS = frozenset({"StartInstances", "StopInstances", "RebootInstances", "TerminateInstances"})
METRIC_INTERVAL = 1.0  # seconds; AWS publishes each minute
OPERATOR_ROLE, STRANGER_ROLE, NODE_ROLE, CLUSTER_ROLE = "SiteOperator", "Stranger", "OutpostNode", "OutpostCluster"
VIFS = {"service-link": "vif-servicelink", "local-gateway": "vif-localgateway"}
LOG_TYPES = ("api", "authenticator", "controllerManager", "scheduler")
_IMAGE = "ami-12c6146b"  # one that moto knows; the machine image is the lab's own


class Account:
    """The account of one lab."""

    def __init__(self, lab: Lab) -> None:
        conf = lab.conf
        self._lab = lab
        self.id = conf.region.account
        self.region_name = conf.region.name
        self.folder = lab.folder / "aws"
        self.folder.mkdir(exist_ok=True)
        self.region = Region(self.id, self.region_name, lab.logs / "region.jsonl")
        self.region.warm().join()
        seed = self.region.seed
        self.creator_arn = seed.create_role(OPERATOR_ROLE)
        self.node_role_arn = seed.create_role(NODE_ROLE)
        self.cluster_role_arn = seed.create_role(CLUSTER_ROLE)
        self.stranger_arn = seed.create_role(STRANGER_ROLE)
        for role in (NODE_ROLE, CLUSTER_ROLE):
            seed.create_instance_profile(role, role)
        self.outpost_arn = f"arn:aws:outposts:{self.region_name}:{self.id}:outpost/{conf.outpost.id}"
        self.region.add_outpost(conf.outpost.id, conf.outpost.name, self.outpost_arn, "site", conf.region.zone)
        names = (*host_names(self.region_name), lab.at.aws_api)
        self.access = Access(self.region, lab.aws_ca, self.folder, names=names, tools=lab.parts.bin_dir)
        self.access.write_credentials({"operator": OPERATOR_ROLE, "stranger": STRANGER_ROLE})
        self._power: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._instances: dict[str, InstanceState] = {}

    @property
    def ssh_key_file(self) -> Path:
        return self.access.ssh_key_file

    @property
    def ssh_public_key(self) -> bytes:
        return self.access.ssh_public_key

    def runner_environment(self) -> dict[str, str]:
        """The environment with which the harness itself calls the API: a path of its own, which no fault touches."""
        return self.access.runner_environment("operator")

    def desk_environment(self, desk: str) -> dict[str, str]:
        """The environment of somebody who sits at a desk."""
        return self.access.desk_environment("operator", self._lab.folder / "desks" / desk)

    def client(self, service: str) -> Any:
        """A boto3 client as the operator, by the runner's own path."""
        return self.access.client(service, "operator")

    # -- the site's AWS objects ------------------------------------------------------------------------------------

    def create_objects(self, user_data: dict[str, str]) -> None:
        """Make VPC, subnets, key pair, instances and the cluster; `user_data` by instance name."""
        conf = self._lab.conf
        ec2 = self.client("ec2")
        ec2.import_key_pair(KeyName=KEY_NAME, PublicKeyMaterial=self.ssh_public_key)
        vpc = ec2.create_vpc(CidrBlock=str(conf.region.vpc_cidr))["Vpc"]["VpcId"]
        common = {"VpcId": vpc, "AvailabilityZone": conf.region.zone}
        subnets = {
            "outpost": ec2.create_subnet(CidrBlock=str(conf.outpost.subnet), OutpostArn=self.outpost_arn, **common),
            "region": ec2.create_subnet(CidrBlock=str(conf.region.region_subnet), **common),
        }
        ids = {where: answer["Subnet"]["SubnetId"] for where, answer in subnets.items()}
        for instance in conf.instances:
            role = CLUSTER_ROLE if instance.role == "control-plane" else NODE_ROLE
            ec2.run_instances(
                ImageId=_IMAGE,
                InstanceType="m5.large",
                MinCount=1,
                MaxCount=1,
                KeyName=KEY_NAME,
                SubnetId=ids[instance.where],
                PrivateIpAddress=str(instance.address),
                IamInstanceProfile={"Name": role},
                UserData=user_data.get(instance.name, "#!/bin/sh\n"),
                TagSpecifications=[
                    {
                        "ResourceType": "instance",
                        "Tags": [
                            {"Key": "Name", "Value": instance.name},
                            {"Key": "islanding:faults", "Value": "allowed"},
                            {"Key": f"kubernetes.io/cluster/{conf.cluster.name}", "Value": "owned"},
                        ],
                    }
                ],
            )
        self._instances = {state.name: state for state in self.region.instances()}
        self._create_cluster(ids["outpost" if conf.cluster.control_plane == "outpost" else "region"])
        self.region.after_mutation(self._mutated)
        threading.Thread(target=self._keep_power, daemon=True, name="power").start()

    def _create_cluster(self, subnet: str) -> None:
        conf = self._lab.conf
        local = conf.cluster.control_plane == "outpost"
        self.client("logs").create_log_group(logGroupName=f"/aws/eks/{conf.cluster.name}/cluster")
        outpost: dict[str, Any] = {
            "outpostConfig": {"outpostArns": [self.outpost_arn], "controlPlaneInstanceType": "m5.large"}
        }
        self.client("eks").create_cluster(
            name=conf.cluster.name,
            version=conf.cluster.version,
            roleArn=self.cluster_role_arn,
            resourcesVpcConfig={"subnetIds": [subnet], "endpointPrivateAccess": True, "endpointPublicAccess": False},
            logging={"clusterLogging": [{"types": list(LOG_TYPES), "enabled": True}]},
            kubernetesNetworkConfig={"serviceIpv4Cidr": str(conf.cluster.service_cidr)},
            **(outpost if local else {}),
        )

    def activate_cluster(self) -> None:
        """The service's word that the cluster's control plane answers."""
        lab = self._lab
        self.region.activate_cluster(
            lab.conf.cluster.name, f"https://{lab.endpoint_name}", lab.cluster_ca.certificate_pem, lab.cluster_id
        )

    def instance(self, name: str) -> InstanceState:
        return self._instances[name]

    def mac_of(self, name: str) -> str:
        return self._instances[name].mac

    # -- the Region inside the lab -----------------------------------------------------------------------------------

    def open_in_lab(self) -> None:
        """Serve the API at its address behind the Region's edge, and metadata in each subnet; feed the metrics."""
        lab = self._lab
        self.region.serve(namespaces.listener_in(underlay.REGION, lab.at.aws_api, 443), self.access.tls)
        for netns in (underlay.OND, underlay.EDGE):
            self.region.serve_metadata(namespaces.listener_in(netns, underlay.METADATA, 80))

    def publish_metrics(self) -> None:
        """Feed CloudWatch from the real state of the links."""
        self.region.feed(self._lab.conf.outpost.id, self._links, METRIC_INTERVAL)

    def _links(self) -> LinkState:
        states = self._lab.routers[underlay.OND].session_states()
        return LinkState(
            connected=self._lab.outpost_reaches_region(),
            vifs={vif: states.get(session, 1) for session, vif in VIFS.items()},
            groups={VIFS["local-gateway"]: "vifgrp-localgateway"},
        )

    # -- power -----------------------------------------------------------------------------------------------------

    def _mutated(self, service: str, operation: str) -> None:
        if service == "ec2" and operation in POWER_OPERATIONS:
            self._power.put(None)

    def _keep_power(self) -> None:
        """Make the machines' power follow the instances' state."""
        known = {state.id: state for state in self.region.instances()}
        while True:
            self._power.get()
            for state in self.region.instances():
                self._follow(known.get(state.id), state)
                known[state.id] = state

    def _follow(self, before: InstanceState | None, now: InstanceState) -> None:
        machine = self._lab.machines.get(now.name)
        if machine is None:
            return
        try:
            if now.state != "running":
                machine.power_off()
            elif before is not None and now.reboots > before.reboots:
                machine.reset()
            else:
                machine.power_on()
        except Exception as error:  # recorded with the Region's errors: a run that saw one is inconclusive
            self.region.errors.append(f"power of {now.name}: {type(error).__name__}: {error}")

    def machine_halted(self, machine: Machine) -> None:
        """A machine that powered itself off is a stopped instance, as on EC2."""
        self.client("ec2").stop_instances(InstanceIds=[self._instances[machine.name].id])
