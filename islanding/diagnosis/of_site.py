"""Diagnosing a site: AWS's state read, the path explained hop by hop, and confirmed by packets at the instance."""

from __future__ import annotations

from dataclasses import replace

from islanding.aws.look import look
from islanding.aws.view import View
from islanding.diagnosis import hops as h
from islanding.diagnosis.hops import Agreement, Diagnosis
from islanding.diagnosis.packets import fold, look_at
from islanding.diagnosis.path import explain_path
from islanding.model import Node, Place, Site


def diagnose(
    site: Site, source: Node | Place | str, target: str, *, account: str = "", packets: bool = True
) -> Diagnosis:
    """Why `source` (a node, a place that is an instance, or an instance id) does or does not reach `target`.

    `target` is a service by its endpoint's name (`ecr.api`, `ecr.dkr`, `s3`, `ec2`, ...), `cluster`, a URL, an image,
    `host[:port]`, or a chain of them: `image-pull`, `node-join`; `account` is the registry's, by default the site's.
    With `packets` the answer is confirmed at the instance (up to 40 s). Only calls that read are made. Raises
    IslandingError for a lab that names no AWS endpoint.
    """
    view = look(site)
    instance, place = _where(site, view, source)
    found = explain_path(view, instance, target, account=account)
    return confirm(site, place, found) if packets else found


def confirm(site: Site, place: Place | None, diagnosis: Diagnosis) -> Diagnosis:
    """The diagnosis with what packets at `place` say; when they contradict it, it is no longer conclusive."""
    if place is None or not diagnosis.host or _is_source(diagnosis):
        note = f"packets were not asked: {site.name} names no place for this instance, or there is no host to ask for"
        return replace(diagnosis, notes=(*diagnosis.notes, note))
    return fold(diagnosis, look_at(place, diagnosis.host, diagnosis.port))


def seen_as(diagnosis: Diagnosis, outcome: str) -> Diagnosis:
    """The diagnosis beside the named outcome of what a user tried: a 403 bears a policy out, a silence does not."""
    failing = diagnosis.failing.name if diagnosis.failing else ""
    refused = outcome.endswith(("_FORBIDDEN", "_DENIED"))
    unnamed = outcome.endswith("NAME_NOT_RESOLVED")
    silent = outcome.endswith("_TIMEOUT")
    says = {h.POLICY: refused, h.NAME: unnamed}.get(failing, silent)
    if not failing or not (refused or unnamed or silent) or says:
        return diagnosis
    note = f"{outcome} was seen, which a failure at the {failing} does not cause"
    return replace(diagnosis, agreement=Agreement.DISAGREES, notes=(*diagnosis.notes, note))


def _is_source(diagnosis: Diagnosis) -> bool:
    return any(hop.name == h.SOURCE for hop in diagnosis.hops)


def _where(site: Site, view: View, source: Node | Place | str) -> tuple[str, Place | None]:
    """The instance, and the place at which commands run on it."""
    if isinstance(source, Node):
        return source.instance_id, site.place(source.place)
    if isinstance(source, Place):
        there = [i for i in view.instances if i.address == source.address]
        found = next((i.id for i in there if i.state == "running"), there[0].id if there else source.name)
        return found, source
    known = next((node for node in site.nodes if node.instance_id == source), None)
    if known is not None:
        return source, site.place(known.place)
    machine = view.instance(source)
    at = next((place for place in site.places if machine and place.address == machine.address), None)
    if at is None and machine and machine.address and "ssh_config" in site.facts:
        at = site.machine(machine.address)
    return source, at
