"""A mapping is taken out of the aws-auth ConfigMap: that IAM role is known to AWS, and to the cluster no more."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Literal

import yaml

from islanding.faults._fault import Fault, Health
from islanding.faults._plan import COMMAND_TIMEOUT, Command, FaultError, Plan, new_id, take_all
from islanding.kube.kubectl import argv
from islanding.model import Identity, Place, Site
from islanding.process import Result

_WHERE = ("configmap", "aws-auth", "--namespace=kube-system")
_LISTS = {"mapRoles": "rolearn", "mapUsers": "userarn"}
# A patch, not `replace`: that one would rewrite the annotation in which `kubectl apply` keeps what it was given last.
# It fails when somebody has deleted the whole document: then it is made again. Input: the patch, a line; the document.
_CHANGE = (
    'IFS= read -r patch; doc=$(cat); printf %s "$patch" | "$@" patch configmap aws-auth --namespace=kube-system'
    ' --type=merge --patch-file=/dev/stdin || printf %s "$doc" | "$@" create -f -'
)
_KUBECTL_TIMEOUT = 30.0


@dataclass(frozen=True)
class AwsAuthMappingRemoved(Fault):
    """The mapping of `arn`, or of the site's `role` (`node` or `operator`), is removed; the list comes back as it was.

    Where somebody changed that list meanwhile, the mapping is put back into what they left; a document that they
    deleted is made again.

    kubectl runs as `identity`, at the place where it is used: by default an X.509 one, else the first. It must not be
    the one whose mapping goes, which could not put it back; the cluster's creator needs no mapping.
    """

    role: Literal["node", "operator"] = "node"
    arn: str = ""
    identity: str = ""

    kind = "aws-auth-mapping-removed"

    def plan(self, site: Site) -> Plan:
        arn = self.arn or _fact(site, f"{self.role}_role_arn")
        who = self._identity(site)
        place = _where_used(site, who)
        held = _read(place, who)
        if held is None:
            raise FaultError(f"{site.name} has no aws-auth", "a cluster of access entries alone needs none")
        document = _kept(held)
        data = document["data"]
        after = without(data, arn)
        if after == data:
            raise FaultError(f"aws-auth has no mapping of {arn}", f"it has {', '.join(_arns(data)) or 'none'}")
        if arn == _canonical_arn(place, who):
            what = f"the identity {who.name} is {arn} itself, and could not put its own mapping back"
            raise FaultError(what, f"give `identity`: one of {', '.join(one.name for one in site.identities)}")
        apply, undo = (
            _command(place, who, {"data": _changed(start, end)}, {**document, "data": end})
            for start, end in ((data, after), (after, data))
        )
        return Plan(
            id=new_id(),
            kind=self.kind,
            target=f"mapping of {arn} in aws-auth",
            summary=f"mapping removed: kubectl patch configmap aws-auth without {arn}, as {who.name}",
            before={"document": document, "arn": arn, "identity": who.name},
            apply=(apply,),
            undo=(undo,),
        )

    def is_applied(self, site: Site, plan: Plan) -> Health:
        held = _now(site, plan)
        mapped = held is not None and plan.before["arn"] in _arns(held.get("data") or {})
        return Health(not mapped, f"{plan.before['arn']} is {'mapped' if mapped else 'not mapped'}")

    def undo(self, site: Site, plan: Plan) -> None:
        """Put the mapping back into what is there now; raises FaultError, also when somebody else writes meanwhile."""
        who, document = site.identity(plan.before["identity"]), plan.before["document"]
        place, held = _where_used(site, who), _now(site, plan)
        there = (held or {}).get("data") or {}
        wanted = with_again(there, document["data"], plan.before["arn"])
        if held is not None and wanted == there:
            return
        version = (held or {}).get("metadata", {}).get("resourceVersion", "")
        patch = {"metadata": {"resourceVersion": version}, "data": _changed(there, wanted)}
        take_all(site, (_command(place, who, patch, document),))

    def is_healed(self, site: Site, plan: Plan) -> Health:
        held, arn = _now(site, plan), plan.before["arn"]
        if held is None:
            return Health(False, "aws-auth is not there")
        entries, before = (_of(data or {}, arn) for data in (held.get("data"), plan.before["document"]["data"]))
        same = entries == before
        return Health(same, f"{arn} is {'mapped as before' if same else f'mapped as {entries or None}, not as before'}")

    def _identity(self, site: Site) -> Identity:
        if self.identity:
            try:
                return site.identity(self.identity)
            except KeyError as unknown:
                raise FaultError(f"{site.name} has {unknown.args[0]}") from unknown
        if not site.identities:
            raise FaultError(f"site {site.name} has no identities")
        return next((one for one in site.identities if one.kind == "x509"), site.identities[0])


def without(data: dict[str, str], arn: str) -> dict[str, str]:
    """The ConfigMap's data without the entries of `arn`; a list that has none is left as it is, letter by letter."""
    left = dict(data)
    for key, name in _LISTS.items():
        entries = _entries(data, key)
        kept = [entry for entry in entries if entry.get(name) != arn]
        if len(kept) < len(entries):
            left[key] = yaml.safe_dump(kept, sort_keys=False)
    return left


def with_again(data: dict[str, str], before: dict[str, str], arn: str) -> dict[str, str]:
    """The ConfigMap's data with the entries of `arn` as they were in `before`, and whatever else others have changed.

    A list that is still as `without` left it comes back letter by letter.
    """
    mended, left = dict(data), without(before, arn)
    for key, name in _LISTS.items():
        was = [entry for entry in _entries(before, key) if entry.get(name) == arn]
        if not was or data.get(key) == before.get(key):
            continue
        if data.get(key, "") == left[key]:
            mended[key] = before[key]
        elif was != [entry for entry in _entries(data, key) if entry.get(name) == arn]:
            mended[key] = yaml.safe_dump([*_entries(without(data, arn), key), *was], sort_keys=False)
    return mended


def _changed(start: dict[str, str], end: dict[str, str]) -> dict[str, str]:
    """What makes `end` of `start`."""
    return {key: value for key, value in end.items() if start.get(key) != value}


def _command(place: Place, who: Identity, patch: dict[str, Any], document: dict[str, Any]) -> Command:
    return Command(
        place=place.name,
        argv=("sh", "-c", _CHANGE, "sh", *argv((), who.kubeconfig)),
        stdin=f"{json.dumps(patch)}\n{json.dumps(document)}",
        as_root=False,
        timeout=_KUBECTL_TIMEOUT,
    )


def _entries(data: dict[str, str], key: str) -> list[dict[str, Any]]:
    try:
        entries = yaml.safe_load(data.get(key) or "[]")
    except yaml.YAMLError as error:
        raise FaultError(f"{key} of aws-auth is no YAML: {error}") from error
    return [entry for entry in entries if isinstance(entry, dict)] if isinstance(entries, list) else []


def _arns(data: dict[str, str]) -> list[str]:
    return [str(entry.get(name)) for key, name in _LISTS.items() for entry in _entries(data, key)]


def _of(data: dict[str, str], arn: str) -> list[dict[str, Any]]:
    """The entries of `arn`, of both lists."""
    return [entry for key, name in _LISTS.items() for entry in _entries(data, key) if entry.get(name) == arn]


def _now(site: Site, plan: Plan) -> dict[str, Any] | None:
    who = site.identity(plan.before["identity"])
    return _read(_where_used(site, who), who)


def _read(place: Place, who: Identity) -> dict[str, Any] | None:
    """The document as the API server has it; None when there is none."""
    shown = _kubectl(place, who, "get", *_WHERE, "--ignore-not-found", "--output=json")
    if not shown.ok:
        raise FaultError(f"{who.name} cannot read aws-auth at {place.name}: {shown.stderr.strip()}")
    if not shown.stdout.strip():
        return None
    try:
        raw = json.loads(shown.stdout)
        return {"metadata": dict(raw["metadata"]), "data": dict(raw.get("data") or {})}
    except (ValueError, KeyError, TypeError) as odd:
        raise FaultError(f"kubectl's answer at {place.name} cannot be read: {odd}") from odd


def _kept(raw: dict[str, Any]) -> dict[str, Any]:
    """The document as an operator would keep it: what the API server alone decides is left out."""
    meta = {key: raw["metadata"][key] for key in _KEPT if raw["metadata"].get(key)}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": meta, "data": raw["data"]}


def _canonical_arn(place: Place, who: Identity) -> str:
    """The role that the cluster takes the identity for; empty for one that is no IAM identity, or cannot ask."""
    shown = _kubectl(place, who, "auth", "whoami", "--output=json")
    try:
        extra = json.loads(shown.stdout)["status"]["userInfo"].get("extra") or {}
    except (ValueError, KeyError, TypeError, AttributeError):
        return ""
    return str(next(iter(extra.get("canonicalArn") or ()), ""))


def _kubectl(place: Place, who: Identity, *args: str) -> Result:
    return place.run(argv(args, who.kubeconfig), timeout=COMMAND_TIMEOUT, check=False)


def _where_used(site: Site, who: Identity) -> Place:
    if who.place:
        return site.place(who.place)
    for place in site.places:
        if place.role == "operator":
            return place
    raise FaultError(f"site {site.name} has no place of role operator")


def _fact(site: Site, name: str) -> str:
    if name not in site.facts:
        raise FaultError(f"the description of {site.name} has no {name}", "give the parameter arn")
    return site.facts[name]


_KEPT = ("name", "namespace", "labels", "annotations")
