"""How the users of a lab reach its AWS API: certificate, credentials, SSH key, and a path that no fault touches."""

from __future__ import annotations

import configparser
import os
import ssl
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ed25519

from islanding.lab import namespaces
from islanding.lab.pki import Authority
from islanding.lab.region.seed import Seed
from islanding.lab.region.server import Region

KEY_NAME = "islanding"
PROMPT = 2  # attempts at a call: a quiet Region answers the first, and a lost one must be told soon
PATIENT = 8  # where calls are throttled and fail now and then, as on a real account


class Access:
    """The users' side of one account: files in `folder`, the API on loopback for the harness itself."""

    def __init__(
        self, region: Region, ca: Authority, folder: Path, *, names: Sequence[str], tools: Path, attempts: int
    ) -> None:
        self.region = region
        self.folder = folder
        self._ca = ca
        self._tools = tools
        self._attempts = attempts
        folder.mkdir(exist_ok=True)
        self.tls = self._certificate(names)
        self.ssh_public_key = self._write_ssh_key()
        loopback = namespaces.listener("127.0.0.1", 0)
        self.port = int(loopback.getsockname()[1])
        region.serve(loopback, self.tls)

    @property
    def ca_file(self) -> Path:
        return self.folder / "ca.pem"

    @property
    def credentials_file(self) -> Path:
        return self.folder / "credentials"

    @property
    def ssh_key_file(self) -> Path:
        return self.folder / "ssh.key"

    def _certificate(self, names: Sequence[str]) -> ssl.SSLContext:
        addresses = [n for n in names if n.replace(".", "").isdigit()]
        leaf = self._ca.issue(
            f"aws.{self.region.region}", dns=[n for n in names if n not in addresses], ips=["127.0.0.1", *addresses]
        )
        self.ca_file.write_bytes(self._ca.certificate_pem)
        (self.folder / "api.crt").write_bytes(leaf.certificate_pem)
        key = self.folder / "api.key"
        key.touch(mode=0o600)
        key.write_bytes(leaf.key_pem)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "api.crt", key)
        return context

    def write_credentials(self, roles: Mapping[str, str]) -> None:
        """Open a session of a role for each profile, and write the shared credentials file."""
        sessions = {name: self.region.seed.assume(role, session=name) for name, role in roles.items()}
        self.credentials_file.touch(mode=0o600)
        self.credentials_file.write_text("".join(s.profile(n, self.region.region) for n, s in sessions.items()))

    def add_foreign_user(self, profile: str, account: str) -> None:
        """Add a profile with keys of a user of another account, such as somebody might bring along."""
        seed = Seed(account, self.region.region)
        _arn, key, secret = seed.create_user_with_key("visitor")
        lines = (
            f"[{profile}]\nregion = {self.region.region}\naws_access_key_id = {key}\naws_secret_access_key = {secret}\n"
        )
        with self.credentials_file.open("a") as file:
            file.write(lines)

    def _write_ssh_key(self) -> bytes:
        """The key pair of the site's operator, as `ssh-keygen` would make it; returns the public half."""
        key = ed25519.Ed25519PrivateKey.generate()
        private = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.OpenSSH, serialization.NoEncryption()
        )
        self.ssh_key_file.touch(mode=0o600)
        self.ssh_key_file.write_bytes(private)
        return key.public_key().public_bytes(serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH)

    # -- environments ----------------------------------------------------------------------------------------------

    def runner_environment(self, profile: str) -> dict[str, str]:
        """The environment with which the harness itself calls the API: a path of its own, which no fault touches."""
        return {**self.environment(profile), "AWS_ENDPOINT_URL": f"https://127.0.0.1:{self.port}"}

    def desk_environment(self, profile: str, home: Path) -> dict[str, str]:
        """The environment of somebody who sits at a desk: real host names, by the path that the desk really has."""
        return {
            **self.environment(profile),
            "HOME": str(home),
            "PATH": os.pathsep.join([str(self._tools), str(Path(sys.executable).parent), os.environ.get("PATH", "")]),
            "KUBECONFIG": str(home / "operator.kubeconfig"),
        }

    def environment(self, profile: str) -> dict[str, str]:
        """Credentials, CA and Region for the AWS SDKs."""
        return {
            "AWS_CA_BUNDLE": str(self.ca_file),
            "AWS_SHARED_CREDENTIALS_FILE": str(self.credentials_file),
            "AWS_CONFIG_FILE": "/dev/null",
            "AWS_PROFILE": profile,
            "AWS_DEFAULT_REGION": self.region.region,
            "AWS_REGION": self.region.region,
            "AWS_STS_REGIONAL_ENDPOINTS": "regional",
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_MAX_ATTEMPTS": str(self._attempts),
            "AWS_RETRY_MODE": "standard",
            "NO_PROXY": "*",  # the user's own proxy is not of the lab
            "no_proxy": "*",
        }

    def client(self, service: str, profile: str) -> Any:
        """A boto3 client of a profile, by the runner's own path."""
        config = configparser.ConfigParser()
        config.read(self.credentials_file)
        keys = config[profile]
        return boto3.client(
            service,
            region_name=self.region.region,
            endpoint_url=f"https://127.0.0.1:{self.port}",
            verify=str(self.ca_file),
            aws_access_key_id=keys["aws_access_key_id"],
            aws_secret_access_key=keys["aws_secret_access_key"],
            aws_session_token=keys["aws_session_token"],
            config=Config(retries={"total_max_attempts": self._attempts, "mode": "standard"}, proxies={}),
        )
