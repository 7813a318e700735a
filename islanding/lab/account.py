"""The site's AWS account: its Region served where it can be reached, and the AWS objects that the site is made of.

Objects are made through the API, as a user would make them, by the identity that a user would take.
"""

from __future__ import annotations

import configparser
import queue
import threading
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from islanding.lab import namespaces, underlay
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
_KEY = "islanding"
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
        self._tls = self._certificate()
        self._write_credentials()
        self._write_ssh_key()
        loopback = namespaces.listener("127.0.0.1", 0)
        self.port = loopback.getsockname()[1]
        self.region.serve(loopback, self._tls)
        self._power: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._instances: dict[str, InstanceState] = {}

    # -- files -----------------------------------------------------------------------------------------------------

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def credentials_file(self) -> Path:
        return self.folder / "credentials"

    def _certificate(self) -> Any:
        leaf = self._lab.aws_ca.issue(
            f"aws.{self.region_name}", dns=host_names(self.region_name), ips=["127.0.0.1", self._lab.at.aws_api]
        )
        self.ca_file.write_bytes(self._lab.aws_ca.certificate_pem)
        (self.folder / "api.crt").write_bytes(leaf.certificate_pem)
        key = self.folder / "api.key"
        key.touch(mode=0o600)
        key.write_bytes(leaf.key_pem)
        return self._lab.tls_context(str(self.folder / "api.crt"), str(key))

    def _write_credentials(self) -> None:
        sessions = {
            name: self.region.seed.assume(role, session=name)
            for name, role in (("operator", OPERATOR_ROLE), ("stranger", STRANGER_ROLE))
        }
        self.credentials_file.touch(mode=0o600)
        self.credentials_file.write_text("".join(s.profile(n, self.region_name) for n, s in sessions.items()))

    def _write_ssh_key(self) -> None:
        """The key pair of the operator, as `ssh-keygen` would make it."""
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        self.ssh_key_file.touch(mode=0o600)
        self.ssh_key_file.write_bytes(private)
        self.ssh_public_key = key.public_key().public_bytes(
            serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
        )

    @property
    def ssh_key_file(self) -> Path:
        return self.folder / "ssh.key"

    # -- environments ----------------------------------------------------------------------------------------------

    def runner_environment(self) -> dict[str, str]:
        """The environment with which the harness itself calls the API: a path of its own, which no fault touches."""
        return {**self._common_environment(), "AWS_ENDPOINT_URL": f"https://127.0.0.1:{self.port}"}

    def desk_environment(self, desk: str) -> dict[str, str]:
        """The environment of somebody who sits at a desk: real host names, by the path that the desk really has."""
        home = self._lab.folder / "desks" / desk
        return {
            **self._common_environment(),
            "HOME": str(home),
            "PATH": self._lab.tools_path(),
            "KUBECONFIG": str(home / "operator.kubeconfig"),
        }

    def _common_environment(self) -> dict[str, str]:
        return {
            "AWS_CA_BUNDLE": str(self.ca_file),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials_file),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_PROFILE": "operator",
            "AWS_DEFAULT_REGION": self.region_name,
            "AWS_REGION": self.region_name,
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": "2",
            "NO_PROXY": "*",  # the user's own proxy is not of the lab
            "no_proxy": "*",
        }

    def client(self, service: str) -> Any:
        """A boto3 client as the operator, by the runner's own path."""
        config = configparser.ConfigParser()
        config.read(self.credentials_file)
        operator = config["operator"]
        return boto3.client(
            service,
            region_name=self.region_name,
            endpoint_url=f"https://127.0.0.1:{self.port}",
            verify=str(self.ca_file),
            aws_access_key_id=operator["aws_access_key_id"],
            aws_secret_access_key=operator["aws_secret_access_key"],
            aws_session_token=operator["aws_session_token"],
        )

    # -- the site's AWS objects ------------------------------------------------------------------------------------

    def create_objects(self, user_data: dict[str, str]) -> None:
        """Make VPC, subnets, key pair, instances and the cluster; `user_data` by instance name."""
        conf = self._lab.conf
        ec2 = self.client("ec2")
        ec2.import_key_pair(KeyName=_KEY, PublicKeyMaterial=self.ssh_public_key)
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
                KeyName=_KEY,
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
        self.region.serve(namespaces.listener_in(underlay.REGION, lab.at.aws_api, 443), self._tls)
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
