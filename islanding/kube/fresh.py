"""Images that no node has ever seen, made and pushed by the operator: the workload's own with a random layer on top.

A node skips layers that it has, so that a new tag on old layers is pulled without a step towards them and shows nothing
about the way (docs/measurements.md 8). The random layer is what has to be fetched.
"""

from __future__ import annotations

import secrets
import shlex
from collections.abc import Sequence

from islanding.kube.images import SECONDS
from islanding.model import Place, Site

# Runs at the operator: `DIR MEGABYTES TAG...`, where DIR holds an OCI layout with one image named `base`. Each TAG
# becomes an image of the layout: the base with one more layer. Python 3.7's standard library is all that it needs.
_GROW = r"""
import gzip, hashlib, io, json, os, sys, tarfile

folder, megabytes, tags = sys.argv[1], float(sys.argv[2]), sys.argv[3:]


def path(digest):
    return os.path.join(folder, "blobs", *digest.split(":"))


def keep(data, kind):
    digest = "sha256:" + hashlib.sha256(data).hexdigest()
    with open(path(digest), "wb") as file:
        file.write(data)
    return {"mediaType": kind, "digest": digest, "size": len(data)}


def read(digest):
    with open(path(digest)) as file:
        return json.load(file)


with open(os.path.join(folder, "index.json")) as file:
    index = json.load(file)
base = index["manifests"][0]
for tag in tags:
    manifest = read(base["digest"])
    config = read(manifest["config"]["digest"])
    plain = io.BytesIO()
    with tarfile.open(fileobj=plain, mode="w") as tar:
        data = os.urandom(max(1, int(megabytes * 1000000)))
        entry = tarfile.TarInfo("var/unseen-" + tag)
        entry.size = len(data)
        tar.addfile(entry, io.BytesIO(data))
    layer = gzip.compress(plain.getvalue(), 1)
    diff = "sha256:" + hashlib.sha256(plain.getvalue()).hexdigest()
    config["rootfs"]["diff_ids"].append(diff)
    config.setdefault("history", [])
    if config["history"]:
        config["history"].append({"created_by": "islanding"})
    kind = manifest["layers"][0]["mediaType"]
    kind = "application/vnd.oci.image.layer.v1.tar+gzip" if ".oci." in kind else kind
    manifest["layers"].append(keep(layer, kind))
    manifest["config"] = keep(json.dumps(config).encode(), manifest["config"]["mediaType"])
    made = keep(json.dumps(manifest).encode(), base["mediaType"])
    made["annotations"] = {"org.opencontainers.image.ref.name": tag}
    index["manifests"].append(made)
with open(os.path.join(folder, "index.json"), "w") as file:
    json.dump(index, file)
"""


def fresh(
    place: Place, base: str, *, region: str, count: int = 1, megabytes: float = 1.0, timeout: float = SECONDS
) -> tuple[str, ...]:
    """Push `count` images that nobody has seen to the repository of `base` (REGISTRY/REPOSITORY:TAG); their names.

    Each is `base` with a layer of so many random megabytes. Needs `aws`, `skopeo` and Python at the place, and a role
    that may pull and push. Raises CommandFailed with the tool's own words.
    """
    repository = base.rsplit(":", 1)[0]
    tags = [f"unseen-{secrets.token_hex(6)}" for _ in range(count)]
    place.run(["bash", "-s"], stdin=script(base, tags, region=region, megabytes=megabytes), timeout=timeout)
    return tuple(f"{repository}:{tag}" for tag in tags)


def fresh_for(site: Site, count: int = 1, megabytes: float = 1.0) -> tuple[str, ...]:
    """The same at a site: pushed by its operator, grown from its workload's image."""
    operator = next(place for place in site.places if place.role == "operator")
    return fresh(operator, site.workload.image, region=site.aws.region, count=count, megabytes=megabytes)


def script(base: str, tags: Sequence[str], *, region: str, megabytes: float) -> str:
    """The shell script that the operator runs; the registry's password goes from one command to the other, unseen."""
    repository = base.rsplit(":", 1)[0]
    quoted = shlex.quote
    pushes = "\n".join(f"skopeo copy --quiet oci:$d:{tag} {quoted(f'docker://{repository}:{tag}')}" for tag in tags)
    return f"""set -o errexit -o pipefail
d=$(mktemp -d)
trap 'rm -rf "$d"' EXIT
aws ecr get-login-password --region {quoted(region)} |
  skopeo login --username AWS --password-stdin {quoted(repository.split("/", 1)[0])} >&2
skopeo copy --quiet {quoted(f"docker://{base}")} oci:$d:base
python3 - $d {megabytes:g} {" ".join(map(quoted, tags))} <<'GROW'
{_GROW.strip()}
GROW
{pushes}
"""
