"""The registry behind its endpoints: pushed and pulled by skopeo through TLS, tokens and S3's redirect, and refused."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from islanding.lab import archives
from islanding.lab.distribution import bucket
from islanding.lab.parts import found
from islanding.lab.region.ecr import LIFE, Ecr
from islanding.lab.system_images import ACCOUNT, COREDNS, PAUSE
from tests.lab import packets
from tests.lab.packets import World
from tests.lab.pulling import Site, endpoint, serving, trail, unseen
from tests.unit.region_support import REGION

pytestmark = pytest.mark.lab
private = pytest.fixture(scope="module", autouse=True)(packets.private)
world = pytest.fixture(packets.world)


@pytest.fixture
def site(world: World, tmp_path: Path) -> Iterator[Site]:
    """The site of this module's tests."""
    with serving(world, tmp_path) as made:
        yield made


def test_an_image_goes_in_and_comes_out_through_the_endpoints(site: Site) -> None:
    """Pushed and pulled by skopeo; layers come from S3 by its gateway endpoint; ECR's API lists the image."""
    site.world.client("ecr").create_repository(repositoryName="team/app")
    image = unseen(site, 30)
    pushed = site.push(image, "team/app:v1")
    assert 0 == pushed.returncode, pushed.stderr
    listed = site.world.client("ecr").describe_images(repositoryName="team/app")["imageDetails"]
    assert [(image.digest, ["v1"])] == [(i["imageDigest"], i["imageTags"]) for i in listed]
    assert listed[0]["imageSizeInBytes"] >= 30_000_000
    pulled = site.pull(f"{site.host}/team/app:v1", "out")
    assert 0 == pulled.returncode, pulled.stderr
    held = {path.name for path in (site.folder / "out/blobs/sha256").iterdir()}
    with archives.opened(image.archive) as archive:
        assert {blob.digest.removeprefix("sha256:") for blob in archive.blobs} <= held
    assert {"GetObject"} == set(trail(site, endpoint=site.endpoints["s3"], service="s3"))
    assert {"BatchGetImage", "PutImage"} <= set(trail(site, endpoint=site.endpoints["ecr.dkr"]))


def test_a_token_is_checked(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    """None and a wrong one are refused with 401, one that has ended with ECR's words."""
    site.world.client("ecr").create_repository(repositoryName="app")
    image = unseen(site, 1)
    token = site.token()
    assert 0 == site.push(image, "app:v1", token).returncode
    wrong = site.pull(f"{site.host}/app:v1", "wrong", "x" * 40)
    assert 0 != wrong.returncode
    assert "unauthorized" in wrong.stderr.lower() or "authentication required" in wrong.stderr.lower()
    late = datetime.now(UTC) + LIFE + timedelta(seconds=1)
    monkeypatch.setattr(site.world.region.ecr, "_now", lambda: late)
    ended = site.pull(f"{site.host}/app:v1", "ended", token)
    assert 0 != ended.returncode
    assert "Your authorization token has expired. Reauthenticate and try again." in ended.stderr


def test_a_repository_has_to_exist(site: Site) -> None:
    """A push to a repository that nobody made fails in ECR's words, and so does a pull of a tag that is not there."""
    image = unseen(site, 1)
    refused = site.push(image, "app:v1")
    account = site.world.region.account
    text = f"The repository with name 'app' does not exist in the registry with id '{account}'"
    assert 0 != refused.returncode
    assert text in refused.stderr
    site.world.client("ecr").create_repository(repositoryName="app")
    missing = site.pull(f"{site.host}/app:nothing", "out")
    assert 0 != missing.returncode
    assert "Requested image not found" in missing.stderr


def test_system_images_are_published_and_only_read(site: Site) -> None:
    """AWS's own images are there, every account may pull them, and nobody may push."""
    site.distribution.publish(found.find().images.values())
    host = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com"
    pulled = site.pull(f"{host}/{COREDNS}", "coredns")
    assert 0 == pulled.returncode, pulled.stderr
    image = found.find().images[PAUSE]
    pushed = site.copy(
        f"oci-archive:{image.archive}", f"docker://{host}/{PAUSE}", "--dest-creds", f"AWS:{site.token()}"
    )
    assert 0 != pushed.returncode
    assert "is not authorized to perform: ecr:" in pushed.stderr


def test_without_the_gateway_endpoint_layers_do_not_come(site: Site) -> None:
    """The manifest is had and the first blob is not: a time-out at the bucket's name; put back, it works."""
    site.distribution.publish([found.find().images[PAUSE]])
    name = f"{ACCOUNT}.dkr.ecr.{REGION}.amazonaws.com/{PAUSE}"
    site.world.ec2.delete_vpc_endpoints(VpcEndpointIds=[site.endpoints["s3"]])
    failed = site.run("curl", "-sS", "-m", "2", f"https://{bucket(REGION)}.s3.{REGION}.amazonaws.com/")
    assert 28 == failed.returncode
    table = site.world.main_table(site.vpc)
    endpoint(site.world, site.vpc, "s3", VpcEndpointType="Gateway", RouteTableIds=[table])
    pulled = site.pull(name, "pause")
    assert 0 == pulled.returncode, pulled.stderr


def test_an_endpoint_answers_for_its_service_alone(site: Site) -> None:
    """Whoever is led to another service's endpoint sees a certificate that is not of the name."""
    address = site.run("getent", "ahostsv4", f"api.ecr.{REGION}.amazonaws.com").stdout.split()[0]
    name = f"sts.{REGION}.amazonaws.com"
    curl = ("curl", "-sS", "-m", "5", "--cacert", str(site.folder / "ca.pem"))
    seen = site.run(*curl, "--resolve", f"{name}:443:{address}", f"https://{name}/")
    assert 60 == seen.returncode, seen.stderr
    api = f"api.ecr.{REGION}.amazonaws.com"
    assert 0 == site.run(*curl, f"https://{api}/").returncode


def test_a_token_is_its_owners(site: Site) -> None:
    """Another Region object's tokens are none here."""
    other = Ecr("000000000000", REGION)
    assert other.principal_of(site.token()) is None
