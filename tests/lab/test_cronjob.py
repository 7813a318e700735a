"""A scheduled run inside a cluster: the CronJob is applied, started once, and its evidence lies in a bucket.

The pod runs the harness's own image, pulled from the account's registry, and adopts its own site by AWS's API,
through endpoints of the closed VPC, and by the API server, as its service account.
"""

from __future__ import annotations

import base64
import io
import json
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from islanding.aws.calls import call
from islanding.journal import parse
from islanding.kube import images
from islanding.lab import launch, registry
from islanding.lab.parts import found
from islanding.model import Place, Site
from islanding.wait import wait_until
from tests.lab.conftest import islanding
from tests.lab.harness_image import archive

CASES = ("test_no_packet_leaves_from_a_pod", "test_the_site_lacks_nothing")  # which look, and enter no machine
SPACE = ("--namespace", "islanding")
FINISHES = 600.0  # seconds for pulling the image, adopting the site and running the cases; a busy machine took 196
SERVICES = ("sts", "eks", "autoscaling")  # which a closed VPC has no endpoints of
# What docs/real-account.md lists for adopting, more than its actions in words; and the evidence.
POLICY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Effect": "Allow",
            "Action": [
                "ec2:Describe*",
                "eks:Describe*",
                "eks:List*",
                "autoscaling:Describe*",
                "iam:GetInstanceProfile",
            ],
            "Resource": "*",
        },
        {"Effect": "Allow", "Action": "s3:PutObject", "Resource": "arn:aws:s3:::BUCKET/runs/*"},
    ],
}
ACCOUNT = "harness"


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Iterator[registry.Lab]:
    """A closed network of its own, whose endpoints are added to."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("ISLANDING_STATE", str(tmp_path_factory.mktemp("cron") / "state"))
        lab = launch.up("closed-vpc")
        yield lab
        launch.down(lab)


def test_a_run_in_the_cluster_leaves_its_evidence_in_the_bucket(closed: registry.Lab, tmp_path: Path) -> None:
    """What `islanding schedule kubernetes` writes is applied; one run of it finishes, passes, and stores its bundle."""
    site = Site.load(closed.site_file)
    operator = site.place("operator")
    reference = f"{site.facts['repository_uri']}:harness"
    images.push(operator, archive(found.find().bin_dir / "kubectl", reference), reference, region=site.aws.region)
    open_endpoints(site)
    base = written(site, reference, tmp_path)
    carry(operator, overlay(site, base))

    operator.run(["kubectl", "apply", "-k", "scheduled"])
    operator.run(["kubectl", *SPACE, "create", "job", "once", "--from=cronjob/islanding-nightly"])
    status = finished(operator)

    said = operator.run(["kubectl", *SPACE, "logs", "job/once", "--tail=120"], check=False)
    assert 1 == status.get("succeeded"), f"{status}\n{said.stdout}\n{said.stderr}"
    kept = stored(site, operator)
    assert {"manifest.json", "verify_bundle.py", "report.html"} <= set(kept.namelist())
    journal = next(name for name in kept.namelist() if name.endswith("journal.jsonl"))
    events = [event for line in kept.read(journal).decode().splitlines() if (event := parse(line))]
    verdicts = {event["case"]: event["verdict"] for event in events if event.type == "case-finished"}
    assert dict.fromkeys(CASES, "pass") == verdicts
    assert ["aws"] == [event["target"] for event in events if event.type == "run-started"]
    assert [0] == [event["exit_code"] for event in events if event.type == "run-finished"]


def open_endpoints(site: Site) -> None:
    """Interface endpoints of the services that adopting asks, as a user would add them."""
    for service in SERVICES:
        given = {
            "VpcId": site.facts["vpc_id"], "ServiceName": f"com.amazonaws.{site.aws.region}.{service}",
            "VpcEndpointType": "Interface", "SubnetIds": site.facts["worker_subnet_ids"].split(","),
            "SecurityGroupIds": [site.facts["endpoint_group_id"]], "PrivateDnsEnabled": True,
        }  # fmt: skip
        call(site, "ec2", "create_vpc_endpoint", given)


def written(site: Site, reference: str, tmp_path: Path) -> Path:
    """The base, as the command writes it."""
    (tmp_path / "site.yaml").write_text(
        yaml.safe_dump(
            {
                "name": "mine",
                "account": site.aws.account,
                "region": site.aws.region,
                "cluster": site.cluster.name,
                "reach": {"kind": "direct"},
                "operator": {"kubeconfig": "/config/kubeconfig"},
                "facts": {name: site.facts[name] for name in ("elsewhere_address", "public_resolver")},
            }
        )
    )
    done = islanding(
        *("schedule", "kubernetes", "--image", reference, "--config", str(tmp_path / "site.yaml")),
        *("--out", str(tmp_path / "scheduled" / "base"), "--", "run", "--target", "aws", "--site", "/config/site.yaml"),
        *("--store", f"s3://{site.facts['bucket']}/runs", "-k", " or ".join(CASES)),
        state=tmp_path / "state",
    )
    assert 0 == done.returncode, done.stderr
    return tmp_path / "scheduled"


def overlay(site: Site, folder: Path) -> Path:
    """What this cluster has and lacks: keys of a user, the authority of the lab's AWS, and no storage for a claim."""
    (folder / "credentials").write_text(keys(site))
    (folder / "ca.pem").write_bytes(Path(site.aws.env["AWS_CA_BUNDLE"]).read_bytes())
    env = {
        "AWS_REGION": site.aws.region,
        "AWS_DEFAULT_REGION": site.aws.region,
        "AWS_SHARED_CREDENTIALS_FILE": "/aws/credentials",
        "AWS_CA_BUNDLE": "/aws/ca.pem",
        "AWS_STS_REGIONAL_ENDPOINTS": "regional",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_MAX_ATTEMPTS": "1",  # IAM has no endpoint in a VPC of this Region: what it would say is soon given up
    }
    pod = "/spec/jobTemplate/spec/template/spec"
    patches: list[dict[str, Any]] = [
        {"op": "replace", "path": f"{pod}/volumes/1", "value": {"name": "state", "emptyDir": {}}},
        {"op": "add", "path": f"{pod}/volumes/-", "value": {"name": "aws", "secret": {"secretName": "aws"}}},
        {
            "op": "add",
            "path": f"{pod}/containers/0/volumeMounts/-",
            "value": {"name": "aws", "mountPath": "/aws", "readOnly": True},
        },
        *(
            {"op": "add", "path": f"{pod}/containers/0/env/-", "value": {"name": name, "value": value}}
            for name, value in env.items()
        ),
    ]
    claim = {"$patch": "delete", "apiVersion": "v1", "kind": "PersistentVolumeClaim"}
    whole = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "namespace": "islanding",
        "resources": ["base"],
        "generatorOptions": {"disableNameSuffixHash": True},
        "secretGenerator": [{"name": "aws", "files": ["credentials", "ca.pem"]}],
        "patches": [
            {"target": {"kind": "CronJob"}, "patch": yaml.safe_dump(patches)},
            {"patch": yaml.safe_dump({**claim, "metadata": {"name": "islanding-nightly"}})},
        ],
    }
    (folder / "kustomization.yaml").write_text(yaml.safe_dump(whole))
    return folder


def keys(site: Site) -> str:
    """A shared credentials file of a user that may do what the run needs, and no more."""
    call(site, "iam", "create_user", {"UserName": ACCOUNT})
    policy = json.dumps(POLICY).replace("BUCKET", site.facts["bucket"])
    call(site, "iam", "put_user_policy", {"UserName": ACCOUNT, "PolicyName": "run", "PolicyDocument": policy})
    key = call(site, "iam", "create_access_key", {"UserName": ACCOUNT})["AccessKey"]
    return f"[default]\naws_access_key_id = {key['AccessKeyId']}\naws_secret_access_key = {key['SecretAccessKey']}\n"


def carry(operator: Place, folder: Path) -> None:
    """Bring a folder to the operator."""
    packed = folder.with_suffix(".tar")
    subprocess.run(["tar", "-C", str(folder.parent), "-cf", str(packed), folder.name], check=True)
    operator.run(["tar", "-x", "-f", "-"], stdin=packed)


def finished(operator: Place) -> dict[str, Any]:
    """The status of the job once it has come to an end."""

    def look() -> dict[str, Any]:
        said = operator.run(["kubectl", *SPACE, "get", "job", "once", "-o", "json"]).stdout
        status: dict[str, Any] = json.loads(said).get("status", {})
        return status

    return wait_until(
        "the run in the cluster to end",
        look,
        timeout=FINISHES,
        interval=1.0,
        done=lambda status: bool(status.get("succeeded") or status.get("failed")),
    )


def stored(site: Site, operator: Place) -> zipfile.ZipFile:
    """What lies in the bucket, read through the VPC's endpoint, which is the only way that its policy leaves."""
    bucket = site.facts["bucket"]
    listed = call(site, "s3", "list_objects_v2", {"Bucket": bucket, "Prefix": "runs/"})["Contents"]
    assert 1 == len(listed), listed
    fetch = f"aws s3 cp --quiet s3://{bucket}/{listed[0]['Key']} kept.zip && base64 -w0 kept.zip"
    return zipfile.ZipFile(io.BytesIO(base64.b64decode(operator.run(["sh", "-c", fetch], timeout=120).stdout)))
