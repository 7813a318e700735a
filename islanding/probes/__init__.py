"""Probes, one a file: what is looked at, again and again, while a link is cut."""

from __future__ import annotations

import importlib
from typing import Any

from islanding.errors import SetupError
from islanding.probes.base import Probe, Reading

# Imported only when asked for: a sampler must start fast, and boto3 alone takes longer than all the rest.
_KINDS = {
    "kubectl": ("islanding.probes.kubectl", "Kubectl"),
    "node": ("islanding.probes.node_condition", "NodeCondition"),
    "http": ("islanding.probes.http", "Http"),
    "http-stream": ("islanding.probes.http_stream", "HttpStream"),
    "dns": ("islanding.probes.dns", "Dns"),
    "aws-call": ("islanding.probes.aws_call", "AwsCall"),
    "egress": ("islanding.probes.egress", "Egress"),
    "flow-counters": ("islanding.probes.flow_counters", "FlowCounters"),
    "image-pull": ("islanding.probes.image_pull", "ImagePull"),
    "node-join": ("islanding.probes.node_join", "NodeJoin"),
    "pod-start": ("islanding.probes.pod_start", "PodStart"),
    "ssh": ("islanding.probes.ssh_jump", "SshJump"),
    "tcp": ("islanding.probes.tcp", "Tcp"),
    "bgp": ("islanding.probes.bgp", "Bgp"),
    "service-link": ("islanding.probes.service_link", "ServiceLink"),
}


def kinds() -> tuple[str, ...]:
    """The kinds of probe there are."""
    return tuple(_KINDS)


def probe_class(kind: str) -> type[Probe]:
    """The class of a kind; raises SetupError that lists the known kinds."""
    if kind not in _KINDS:
        raise SetupError(f"no probe of kind {kind!r}", f"use one of: {', '.join(_KINDS)}")
    module, name = _KINDS[kind]
    found: type[Probe] = getattr(importlib.import_module(module), name)
    return found


def load(data: dict[str, Any]) -> Probe:
    """The probe that `Probe.to_json` described; raises SetupError for an unknown kind or parameter."""
    return probe_class(str(data.get("kind", ""))).from_json(data)


def make(kind: str, **parameters: Any) -> Probe:
    """A probe of a kind with parameters by name; raises SetupError for an unknown kind or parameter."""
    return load({"kind": kind, **parameters})


__all__ = ["Probe", "Reading", "kinds", "load", "make", "probe_class"]
