"""Other projects' files: where they come from, and what is read out of them."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.errors import SetupError
from islanding.lab.parts import assemble, instance_types, pins, upstream
from islanding.lab.parts.found import LIMITS, Layout
from islanding.lab.parts.instance_types import TypeLimits
from islanding.lab.parts.progress import Silent
from islanding.lab.parts.recipe import Recipe

LIMITS_GO = """\
package vpc

var instanceNetworkingLimits = map[string]InstanceTypeLimits{
	"m5.large": {
		ENILimit:                3,
		IPv4Limit:               10,
		DefaultNetworkCardIndex: 0,
		NetworkCards: []NetworkCard{
			{
				MaximumNetworkInterfaces: 3,
				NetworkCardIndex:         0,
			},
		},
		HypervisorType: "nitro",
		IsBareMetal:    false,
	},
	"u-24tb1.metal": {
		ENILimit:  5,
		IPv4Limit: 30,
	},
}
"""


def test_limits_are_read_with_the_most_pods_as_listed_or_by_rule() -> None:
    """A listed type has the listed number; another one has each interface's addresses but the first, and two."""
    expected = {"m5.large": TypeLimits(3, 10, 29), "u-24tb1.metal": TypeLimits(5, 30, 147)}
    assert expected == instance_types.parse(LIMITS_GO, "# a comment\nm5.large 29\n")
    assert instance_types.parse(LIMITS_GO, "u-24tb1.metal 737\n")["u-24tb1.metal"].pods == 737


def test_a_table_of_another_form_is_refused() -> None:
    """No type found is an error: every later look-up would fail for a reason that nobody sees."""
    with pytest.raises(SetupError, match="another form"):
        instance_types.parse(LIMITS_GO.replace("ENILimit", "Interfaces"), "")


@given(
    st.dictionaries(
        st.from_regex(r"[a-z]\d{1,2}\.[a-z0-9]{1,8}", fullmatch=True),
        st.builds(TypeLimits, *[st.integers(1, 999)] * 3),
        max_size=6,
    )
)
def test_table_is_read_back_as_it_was_written(limits: dict[str, TypeLimits]) -> None:
    """Whatever the types, JSON keeps them."""
    assert limits == instance_types.from_json(instance_types.to_json(limits))


def test_every_file_is_pinned_by_a_part_set_that_requires_its_module() -> None:
    """A file of a module that no go.mod requires could not be checked by any go.sum."""
    sets = {part.name: part for part in pins.load()}
    for file in upstream.FILES:
        folder = sets[file.pinned_by].folder
        version = pins.parse_gomod((folder / "go.mod").read_text()).versions[file.module]
        assert f"{file.module} {version} h1:" in (folder / "go.sum").read_text()
    names = [name for part in upstream.file_sets(pins.load()) for name in part.binaries]
    assert sorted(file.name for file in upstream.FILES) == sorted(names)


def test_a_changed_pin_changes_the_key_of_its_files_alone() -> None:
    """Another version of the VPC CNI has other manifests; those of Kubernetes stay."""
    before = pins.load()
    after = [replace(part, key="other") if part.name == "amazon-vpc-cni" else part for part in before]
    old, new = (upstream.file_sets(sets) for sets in (before, after))
    assert [a.name for a, b in zip(old, new, strict=True) if a.key != b.key] == ["amazon-vpc-cni manifests"]


def test_folders_are_found_in_the_output_of_go() -> None:
    """Objects follow each other without a separator; one that failed has no folder."""
    text = '{\n\t"Path": "a",\n\t"Dir": "/m/a@v1"\n}\n{\n\t"Path": "b",\n\t"Error": "not found"\n}\n'
    assert upstream.module_folders(text) == {"a": Path("/m/a@v1")}
    assert upstream.module_folders("\n") == {}


def test_a_users_folder_gives_files_checked_by_its_sums(tmp_path: Path) -> None:
    """Whoever gives binaries can give the manifests too, so that no Go is needed; they are not executable."""
    place = Layout(tmp_path / "cache", pins.load(), Recipe())
    (part,) = (p for p in place.file_sets if p.name == "kubernetes manifests")
    given_folder = tmp_path / "given"
    given_folder.mkdir()
    sums = []
    for name in part.binaries:
        (given_folder / name).write_text(name)
        sums.append(f"{_sha256(name)}  {name}\n")
    (given_folder / "SHA256SUMS").write_text("".join(sums))
    place.cache.mkdir()
    chain = assemble.file_chain(place, given_folder)
    how = assemble._files(place, part, list(part.binaries), chain, Silent())
    assert (how, list(place.missing_files())) == ("folder given by the user", ["amazon-vpc-cni manifests"])
    assert {path.stat().st_mode & 0o777 for path in place.upstream.files.iterdir()} == {0o644}


def test_table_of_instance_types_is_derived_once_the_files_are_there(tmp_path: Path) -> None:
    """It lies beside the files that it is made of, and is missing until it has been made."""
    place = Layout(tmp_path, pins.load(), Recipe())
    for name, text in ((upstream.LIMITS_GO, LIMITS_GO), (upstream.MAX_PODS, "m5.large 29\n")):
        (tmp_path / "x").write_text(text)
        place.upstream.put(tmp_path / "x", name, version="1", key="k", provider="test")
    assert not place.limits_ready()
    assert assemble._limits(place) == "2 types out of the VPC CNI's own table"
    assert place.limits_ready()
    assert instance_types.load(place.upstream.files / LIMITS)["m5.large"] == TypeLimits(3, 10, 29)


def _sha256(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()
