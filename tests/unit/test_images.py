"""Container images: the archive is what the OCI image layout says, the same each time, and named for containerd."""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from islanding.lab.images import Entry, Image, digest, layer_tar, layout, nginx, pause, write_archive
from islanding.lab.parts import oci
from islanding.lab.system_images import KUBE_PROXY, VPC_CNI, VPC_CNI_INIT

FILES = (Entry("usr/sbin/nginx", b"program"), Entry("lib", link="usr/lib"))


def index(image: Image) -> Any:
    """The image's entry in the layout's index."""
    return json.loads(layout(image)["index.json"])["manifests"][0]


def blob(image: Image, descriptor: dict[str, Any]) -> bytes:
    """The blob that a descriptor names."""
    return layout(image)["blobs/sha256/" + descriptor["digest"].removeprefix("sha256:")]


def test_every_blob_is_named_by_its_hash_and_listed_with_its_size() -> None:
    """Each blob's name is its hash, and manifest, config and layers are found with the size that is stated."""
    image = nginx("lab.local/nginx:1", FILES)
    blobs = {name.rsplit("/", 1)[1]: data for name, data in layout(image).items() if name.startswith("blobs/")}
    assert {hashlib.sha256(data).hexdigest() for data in blobs.values()} == set(blobs)
    manifest = json.loads(blob(image, index(image)))
    listed = [index(image), manifest["config"], *manifest["layers"]]
    assert [d["size"] for d in listed] == [len(blob(image, d)) for d in listed]
    assert len(blobs) == len(listed)


def test_image_is_named_for_containerd_and_for_other_tools() -> None:
    """containerd takes the full name, other tools the tag."""
    expected = {
        "io.containerd.image.name": "lab.local/nginx:1",
        "org.opencontainers.image.ref.name": "1",
    }
    assert expected == index(nginx("lab.local/nginx:1", FILES))["annotations"]


def test_layers_in_config_and_manifest_agree() -> None:
    """The layers are not compressed, so the config's diff ids are the manifest's digests, in the same order."""
    image = nginx("lab.local/nginx:1", FILES)
    manifest = json.loads(blob(image, index(image)))
    config = json.loads(blob(image, manifest["config"]))
    assert [layer["digest"] for layer in manifest["layers"]] == config["rootfs"]["diff_ids"]


def test_nginx_runs_in_the_foreground_and_answers_with_the_pods_name() -> None:
    """The image starts nginx itself, which stays in front, logs to stdout and says the host name on port 80."""
    image = nginx("lab.local/nginx:1", FILES)
    conf = next(entry.data or b"" for entry in image.layers[0] if entry.path == "etc/nginx/nginx.conf").decode()
    wanted = ("daemon off;", "listen 80", 'return 200 "$hostname\\n"', "access_log /dev/stdout")
    assert [text for text in wanted if text in conf] == list(wanted)
    assert image.entrypoint == ("/usr/sbin/nginx",)


def test_the_uncached_image_shares_the_lower_layer_and_is_another_image() -> None:
    """It differs in its upper layer alone: a node that has one of them still has to pull the other."""
    cached, uncached = (nginx(name, FILES) for name in (oci.CACHED, oci.UNCACHED))
    layers = [json.loads(blob(image, index(image)))["layers"] for image in (cached, uncached)]
    assert layers[0][0] == layers[1][0]
    assert layers[0][1]["digest"] != layers[1][1]["digest"]
    assert digest(cached) != digest(uncached)


def test_the_uncached_image_is_kept_from_the_nodes() -> None:
    """Nodes import the archives of the folder; the withheld one lies a folder below."""
    top = [name for name in oci.archive_names() if "/" not in name]
    assert top == ["pause-1.tar", "nginx-1.tar"]
    assert "withheld/uncached-1.tar" in oci.archive_names()


def test_archive_is_the_same_each_time_and_leaves_nothing_else(tmp_path: Path) -> None:
    """Two writes give the same bytes, and no partial file stays."""
    write_archive(pause(b"program"), tmp_path / "a.tar")
    write_archive(pause(b"program"), tmp_path / "b.tar")
    assert (tmp_path / "a.tar").read_bytes() == (tmp_path / "b.tar").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.tar", "b.tar"]
    with tarfile.open(tmp_path / "a.tar") as tar:
        assert {"index.json", "oci-layout"} <= set(tar.getnames())


names = st.text("abc", min_size=1, max_size=2)
paths = st.lists(names, min_size=1, max_size=3).map("/".join)


@given(st.dictionaries(paths, st.binary(max_size=8), max_size=6))
def test_layer_names_each_parent_before_what_it_holds(contents: dict[str, bytes]) -> None:
    """Whatever the files, each folder comes before its contents, once, and all belong to root at time zero."""
    files = {
        path: data for path, data in contents.items() if not any(other.startswith(f"{path}/") for other in contents)
    }
    layer = layer_tar([Entry(path, data) for path, data in files.items()])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        members = tar.getmembers()
    seen: set[str] = set()
    for member in members:
        assert all(str(parent) in seen for parent in Path(member.name).parents if str(parent) != ".")
        assert member.name not in seen
        seen.add(member.name)
    assert files.keys() == {member.name for member in members if member.isfile()}
    assert {(0, 0, 0)} >= {(member.uid, member.gid, member.mtime) for member in members}


def test_links_and_special_modes_survive() -> None:
    """A symbolic link stays one, and /tmp stays sticky."""
    layer = layer_tar([Entry("lib", link="usr/lib"), Entry("tmp", mode=0o1777)])
    with tarfile.open(fileobj=io.BytesIO(layer)) as tar:
        found = {member.name: (member.linkname, member.mode) for member in tar.getmembers()}
    assert found == {"lib": ("usr/lib", 0o777), "tmp": ("", 0o1777)}


def test_loader_list_gives_the_libraries() -> None:
    """Libraries with a path are taken, the kernel's own page is not."""
    text = (
        "\tlinux-vdso.so.1 (0x00007ffd)\n"
        "\tlibssl.so.3 => /lib/x86_64-linux-gnu/libssl.so.3 (0x00007f)\n"
        "\t/lib64/ld-linux-x86-64.so.2 (0x00007f)\n"
    )
    expected = ["/lib/x86_64-linux-gnu/libssl.so.3", "/lib64/ld-linux-x86-64.so.2"]
    assert expected == oci.parse_loader_list(text)


SYSTEM = {image.name: image for image in oci.all_images(oci.Contents(packet_filter=FILES)).values()}


def test_cni_and_kube_proxy_share_the_packet_filters_layer() -> None:
    """A node that has one of them fetches only what the other has of its own."""
    layers = [json.loads(blob(SYSTEM[n], index(SYSTEM[n])))["layers"] for n in (VPC_CNI, KUBE_PROXY)]
    assert layers[0][0] == layers[1][0]
    assert len(layers[0]) == len(layers[1]) == 2


def test_vpc_cni_finds_its_plugins_where_its_programs_look() -> None:
    """Agent and installer take what lies in their working folders, under the names that the node's runtime calls."""
    agent, init = SYSTEM[VPC_CNI], SYSTEM[VPC_CNI_INIT]
    held = [{entry.path for entry in image.layers[-1]} for image in (agent, init)]
    assert {"app/aws-cni", "app/egress-cni", "app/aws-k8s-agent", "app/10-aws.conflist"} <= held[0]
    assert {"init/loopback", "init/host-local", "init/portmap"} <= held[1]
    found = [(image.working_dir, image.entrypoint) for image in (agent, init)]
    assert found == [("/app", ("/app/aws-vpc-cni",)), ("/init", ("/init/aws-vpc-cni-init",))]
    config = json.loads(blob(agent, json.loads(blob(agent, index(agent)))["config"]))["config"]
    assert config["WorkingDir"] == "/app"


def test_iptables_is_the_one_on_nftables() -> None:
    """Every command that kube-proxy and the agent call, for both families, is the nftables variant."""
    links = {entry.path: entry.link for entry in SYSTEM[KUBE_PROXY].layers[0]}
    names = ("iptables", "iptables-save", "iptables-restore", "ip6tables", "ip6tables-save", "ip6tables-restore")
    assert {links[f"usr/sbin/{name}"] for name in names} == {"xtables-nft-multi"}
