"""The fault on the aws-auth ConfigMap: one mapping goes, and the very document of before comes back."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from islanding import faults
from islanding.faults.apply import apply_fault, cut
from islanding.faults.aws_auth_mapping_removed import without
from islanding.faults.heal import Outcome, heal
from islanding.model import Identity, Place
from tests.unit.test_faults.bench import Bench

NODE, OPERATOR = "arn:aws:iam::123456789012:role/Node", "arn:aws:iam::123456789012:role/Operator"
ROLES = f"""# by hand
- rolearn: {NODE}
  username: system:node:{{{{EC2PrivateDNSName}}}}
  groups: [system:bootstrappers, system:nodes]
- rolearn: {OPERATOR}
  username: operator
  groups:
  - system:masters
"""
# kubectl with one ConfigMap in a file; it says who asks by the name of its kubeconfig.
KUBECTL = """#!/bin/sh
here=$(dirname "$0")
who=$(echo "$*" | sed 's/.*--kubeconfig=\\([^ ]*\\).*/\\1/')
case "$*" in
*whoami*) cat "$here/$(basename $who).whoami" 2>/dev/null || { echo "unknown command" >&2; exit 1; };;
*"get configmap"*) [ -e "$here/map" ] && cat "$here/map" || { echo "not found" >&2; exit 1; };;
*replace*) [ -e "$here/map" ] || { echo "not found" >&2; exit 1; }; cat >"$here/map";;
*create*) cat >"$here/map";;
esac
"""


@pytest.fixture
def site(bench: Bench, tmp_path: Path) -> Bench:
    """The bench with an operator, who has a kubectl and two identities."""
    tools = tmp_path / "tools"
    tools.mkdir()
    (tools / "kubectl").write_text(KUBECTL)
    (tools / "kubectl").chmod(0o755)
    document = {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": "aws-auth", "namespace": "kube-system", "labels": {"a": "b"}, "resourceVersion": "7"},
        "data": {"mapRoles": ROLES, "mapUsers": "[]\n"},
    }
    (tools / "map").write_text(json.dumps(document))
    whoami = {"status": {"userInfo": {"username": "operator", "extra": {"canonicalArn": [OPERATOR]}}}}
    (tools / "operator.whoami").write_text(json.dumps(whoami))
    env = {"PATH": f"{tools}:{os.environ['PATH']}"}
    operator = Place(name="operator", role="operator", address="10.0.0.5", env=env)
    bench.site = bench.site.model_copy(
        update={
            "places": (*bench.site.places, operator),
            "identities": (
                Identity(name="creator", kind="iam", kubeconfig="/k/creator"),
                Identity(name="operator", kind="iam", kubeconfig="/k/operator"),
            ),
            "facts": {"node_role_arn": NODE, "operator_role_arn": OPERATOR},
        }
    )
    bench.site.save(Path(bench.site.folder) / "site.json")
    return bench


def document(tmp_path: Path) -> dict[str, object]:
    """The ConfigMap as it is now, but for its version."""
    held = json.loads((tmp_path / "tools" / "map").read_text())
    held["metadata"].pop("resourceVersion", None)
    return dict(held)


@pytest.mark.parametrize("role", ["node", "operator"])
def test_one_mapping_goes_and_the_document_comes_back_letter_by_letter(site: Bench, tmp_path: Path, role: str) -> None:
    """The other mapping stays; comments and order are those of before when it is undone."""
    before = document(tmp_path)
    with cut(site.site, faults.make("aws-auth-mapping-removed", role=role), site.journal):
        during = str(document(tmp_path))

    assert (NODE in during, OPERATOR in during) == (role == "operator", role == "node")
    assert document(tmp_path) == before


def test_another_process_puts_it_back_even_when_it_was_deleted(site: Bench, tmp_path: Path) -> None:
    """The record holds the whole document."""
    before = document(tmp_path)
    apply_fault(site.site, faults.make("aws-auth-mapping-removed"), site.journal)
    site.orphan()
    (tmp_path / "tools" / "map").unlink()

    assert [one.outcome for one in heal("lab-1")] == [Outcome.HEALED]
    assert document(tmp_path) == before


@pytest.mark.parametrize(
    ("params", "says"),
    [
        ({"arn": "arn:aws:iam::1:role/Other"}, f"no mapping of arn:aws:iam::1:role/Other\n  it has {NODE}, {OPERATOR}"),
        (
            {"role": "operator", "identity": "operator"},
            "could not put its own mapping back\n  give `identity`: one",
        ),
        ({"identity": "nobody"}, "no identity 'nobody'"),
        ({"role": "admin"}, "'node' or 'operator'"),
    ],
)
def test_a_mistake_is_told_before_anything_is_changed(site: Bench, params: dict[str, str], says: str) -> None:
    """Above all an identity that would lock itself out is refused."""
    with pytest.raises(faults.FaultError, match=says):
        faults.make("aws-auth-mapping-removed", **params).plan(site.site)


def test_a_list_without_the_role_is_left_as_it_is() -> None:
    """Nothing is reformatted that need not be; odd contents are not lost."""
    data = {"mapRoles": ROLES, "mapUsers": "# nobody\n[]\n", "mapAccounts": '["1"]'}
    left = without(data, NODE)

    assert (left["mapUsers"], left["mapAccounts"]) == (data["mapUsers"], data["mapAccounts"])
    assert without(data, "arn:other") == data
    with pytest.raises(faults.FaultError, match="mapRoles of aws-auth is no YAML"):
        without({"mapRoles": "- [", "mapUsers": ""}, NODE)
