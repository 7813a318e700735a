"""The fault on the aws-auth ConfigMap: one mapping goes, and the very document of before comes back."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from islanding import faults
from islanding.faults.apply import apply_fault, cut
from islanding.faults.aws_auth_mapping_removed import with_again, without
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
ROWS = (NODE, OPERATOR)
# kubectl with one ConfigMap in a file; it says who asks by the name of its kubeconfig.
KUBECTL = f"""#!{sys.executable}
import json, sys
from pathlib import Path
here, words = Path(__file__).parent, sys.argv[1:]
held = here / "map"
def end(told):
    sys.exit(print(told, file=sys.stderr) or 1)
if "whoami" in words:
    who = next(word for word in words if word.startswith("--kubeconfig=")).rpartition("/")[2]
    told = here / (who + ".whoami")
    print(told.read_text()) if told.exists() else end("unknown command")
elif "get" in words:
    if held.exists():
        print(held.read_text())
    elif "--ignore-not-found" not in words:
        end("not found")
elif "patch" in words:
    assert "--type=merge" in words and "--patch-file=/dev/stdin" in words, words
    patch = json.load(sys.stdin)
    if not held.exists():
        end("not found")
    map = json.loads(held.read_text())
    version = map["metadata"]["resourceVersion"]
    if patch.get("metadata", {{}}).get("resourceVersion", version) != version:
        end("the object has been modified")
    map["data"].update(patch["data"])
    map["metadata"]["resourceVersion"] = str(int(version) + 1)
    held.write_text(json.dumps(map))
elif "create" in words:
    made = json.load(sys.stdin)
    if held.exists():
        end("already exists")
    made["metadata"]["resourceVersion"] = "1"
    held.write_text(json.dumps(made))
else:
    end("unknown command")
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


NEW = {"rolearn": "arn:aws:iam::123456789012:role/New", "username": "new", "groups": ["viewers"]}


def test_what_somebody_changed_meanwhile_stays(site: Bench, tmp_path: Path) -> None:
    """What was added to the list, and to the other one, is there when the fault is undone, with what it removed."""
    held = tmp_path / "tools" / "map"
    with cut(site.site, faults.make("aws-auth-mapping-removed", role="operator"), site.journal):
        now = json.loads(held.read_text())
        now["data"]["mapRoles"] = yaml.safe_dump([*yaml.safe_load(now["data"]["mapRoles"]), NEW])
        now["data"]["mapUsers"] = "- {userarn: u, username: u}\n"
        held.write_text(json.dumps(now))

    data = json.loads(held.read_text())["data"]
    assert [NODE, NEW["rolearn"], OPERATOR] == [one["rolearn"] for one in yaml.safe_load(data["mapRoles"])]
    assert yaml.safe_load(ROLES)[1] == yaml.safe_load(data["mapRoles"])[2]
    assert "- {userarn: u, username: u}\n" == data["mapUsers"]


def test_who_put_the_mapping_back_by_hand_is_not_overruled(site: Bench, tmp_path: Path) -> None:
    """Nothing is written when the mapping is there as it was."""
    held = tmp_path / "tools" / "map"
    with cut(site.site, faults.make("aws-auth-mapping-removed", role="operator"), site.journal):
        now = json.loads(held.read_text())
        now["data"]["mapRoles"] = yaml.safe_dump([NEW, *yaml.safe_load(ROLES)])
        held.write_text(json.dumps(now))
        by_hand = held.read_text()

    assert by_hand == held.read_text()


@given(st.permutations([NODE, OPERATOR, NEW["rolearn"], "arn:other"]), st.integers(0, 4), st.sampled_from(ROWS))
def test_with_again_gives_back_what_was_taken_and_keeps_the_rest(order: list[str], kept: int, arn: str) -> None:
    """Whatever others left of the list, and added to it."""
    before = {"mapRoles": ROLES}
    now = {"mapRoles": yaml.safe_dump([{"rolearn": one, "by": "hand"} for one in order[:kept]])}
    mended = {one["rolearn"]: one for one in yaml.safe_load(with_again(now, before, arn)["mapRoles"])}

    was = {one["rolearn"]: one for one in yaml.safe_load(ROLES)}
    assert was[arn] == mended.pop(arn)
    assert {one: {"rolearn": one, "by": "hand"} for one in order[:kept] if one != arn} == mended
    assert before == with_again(without(before, arn), before, arn)
    assert before == with_again(before, before, arn)


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
