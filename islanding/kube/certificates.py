"""X.509 access to a cluster, prepared by its operator as the EKS guide says: key, CSR, approval, binding, kubeconfig.

Every step is a command at the operator's place with the operator's IAM identity, so it works only while the Region can
be asked (EKS user guide, "Prepare local Amazon EKS clusters on AWS Outposts for network disconnects").
"""

from __future__ import annotations

import base64
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import yaml
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from islanding.kube.kubectl import argv
from islanding.model import Identity, Place, Site
from islanding.process import Result
from islanding.wait import wait_until

SIGNER = "kubernetes.io/kube-apiserver-client"
EXPIRATION = 86400  # seconds asked for; the signer decides
TOKEN_SPACING = 2.0  # seconds; tokens of one second are identical, and a good one is cached


@dataclass(frozen=True)
class Prepared:
    """A certificate's identity and what the signer really made of it: `not_after` in UTC."""

    identity: Identity
    subject: str
    issuer: str
    not_after: datetime


class Operator:
    """The operator at work: kubectl at the operator's place, as one of the site's identities."""

    def __init__(self, site: Site, identity: str = "operator") -> None:
        self.site = site
        self.place: Place = next(p for p in site.places if p.role == "operator")
        self.identity = site.identity(identity)
        self._asked = time.monotonic()

    def kubectl(self, *arguments: str, stdin: str | None = None, timeout: float = 60.0, check: bool = True) -> Result:
        """Run kubectl to its end; raises CommandFailed when `check` and it fails."""
        command = argv(arguments, self.identity.kubeconfig)
        try:
            return self.place.run(command, stdin=stdin, timeout=timeout, check=check)
        finally:
            self._asked = time.monotonic()

    def forget_token(self) -> None:
        """Wait until the next call makes a token of another second, which no cache can answer."""
        wait_until(
            "a token of another second",
            lambda: time.monotonic() - self._asked > TOKEN_SPACING,
            timeout=2 * TOKEN_SPACING,
        )

    def request(self, user: str) -> tuple[Result, bytes]:
        """Create a CertificateSigningRequest for `user`; returns what kubectl said and the private key (PEM)."""
        key = ec.generate_private_key(ec.SECP256R1())
        subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)])
        request = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, hashes.SHA256())
        pem = request.public_bytes(serialization.Encoding.PEM)
        manifest = {
            "apiVersion": "certificates.k8s.io/v1",
            "kind": "CertificateSigningRequest",
            "metadata": {"name": user},
            "spec": {
                "signerName": SIGNER,
                "expirationSeconds": EXPIRATION,
                "usages": ["client auth"],
                "request": base64.b64encode(pem).decode(),
            },
        }
        done = self.kubectl(
            "create", "--validate=false", "-f", "-", timeout=200, stdin=yaml.safe_dump(manifest), check=False
        )
        return done, _private(key)

    def prepare(self, user: str, role: str = "cluster-admin") -> Prepared:
        """Make an X.509 identity bound to a ClusterRole (empty: to none); raises CommandFailed or WaitTimeout.

        What an earlier attempt left of the same name is replaced.
        """
        self.kubectl("delete", "csr", user, "--ignore-not-found")
        created, key = self.request(user)
        if not created.ok:
            raise_failed(created, self.place)
        self.kubectl("certificate", "approve", user)
        encoded = wait_until(
            f"the signer to issue the certificate of {user}",
            lambda: self.kubectl("get", "csr", user, "-o", "jsonpath={.status.certificate}").stdout,
            timeout=30,
            interval=0.3,
        )
        certificate = base64.b64decode(encoded)
        if role:
            self.kubectl("delete", "clusterrolebinding", user, "--ignore-not-found")
            self.kubectl("create", "clusterrolebinding", user, f"--clusterrole={role}", f"--user={user}")
        made = x509.load_pem_x509_certificate(certificate)
        return Prepared(
            identity=self.identity_of(user, certificate, key),
            subject=made.subject.rfc4514_string(),
            issuer=made.issuer.rfc4514_string(),
            not_after=made.not_valid_after_utc,
        )

    def foreign(self, user: str) -> Identity:
        """An identity with a certificate of an authority that the cluster does not know."""
        return self.identity_of(user, *_self_signed(user, "another authority"))

    def identity_of(self, user: str, certificate: bytes, key: bytes) -> Identity:
        """Write a kubeconfig for a certificate and key beside the operator's own, and name it as an identity."""
        path = Path(self.identity.kubeconfig).with_name(f"{user}.kubeconfig")
        config = yaml.safe_load(Path(self.identity.kubeconfig).read_text())
        config["users"] = [
            {
                "name": user,
                "user": {
                    "client-certificate-data": base64.b64encode(certificate).decode(),
                    "client-key-data": base64.b64encode(key).decode(),
                },
            }
        ]
        current = next(one for one in config["contexts"] if one["name"] == config["current-context"])
        config["contexts"] = [{"name": user, "context": {"cluster": current["context"]["cluster"], "user": user}}]
        config["current-context"] = user
        path.touch(mode=0o600)
        path.write_text(yaml.safe_dump(config))
        return Identity(name=user, kind="x509", kubeconfig=str(path))


def _self_signed(user: str, issuer: str) -> tuple[bytes, bytes]:
    """A certificate of another authority and its key, valid for a day from now."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, user)]))
        .issuer_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, issuer)]))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(days=1))
        .sign(key, hashes.SHA256())
    )
    return certificate.public_bytes(serialization.Encoding.PEM), _private(key)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def raise_failed(result: Result, place: Place) -> None:
    """Raise CommandFailed for a result that was looked at first."""
    from islanding.process import CommandFailed

    raise CommandFailed(result, place.name)
