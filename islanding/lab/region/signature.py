"""AWS Signature Version 4: takes a request apart and checks it against the secret of whoever claims to have sent it.

Source of the algorithm: "Create a signed AWS API request", AWS General Reference; checked against botocore's signer.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from urllib.parse import quote, unquote

from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request

WINDOW = timedelta(minutes=15)  # how far a signature's date may lie from the Region's clock
ALGORITHM = "AWS4-HMAC-SHA256"
LONGEST_PRESIGNED = timedelta(days=7)
_MISMATCH = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key and signing method. Consult the service documentation for details."
)
_NOTHING = hashlib.sha256(b"").hexdigest()
_SECONDS = re.compile(r"^[0-9]{1,6}$")
_STAMP = "%Y%m%dT%H%M%SZ"
_HEADER = re.compile(
    r"Credential=(?P<credential>[^,\s]+)[,\s]+SignedHeaders=(?P<headers>[^,\s]+)[,\s]+Signature=(?P<signature>\w+)"
)


@dataclass(frozen=True)
class Claim:
    """What a request says about its sender, not yet believed: key id, scope, signed headers, time, signature, token."""

    access_key_id: str
    day: str
    region: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str
    stamp: str
    presigned: bool
    token: str | None
    expires: int | None = None  # X-Amz-Expires in seconds, of a presigned request

    @property
    def scope(self) -> str:
        return f"{self.day}/{self.region}/{self.service}/aws4_request"

    @property
    def signed_at(self) -> datetime:
        try:
            return datetime.strptime(self.stamp, _STAMP).replace(tzinfo=UTC)
        except ValueError:
            raise AwsError(
                "IncompleteSignature", f"Date must be in ISO-8601 'basic format'. Got '{self.stamp}'."
            ) from None


def parameters(query: str) -> list[tuple[str, str]]:
    """The decoded (name, value) pairs of a raw query string, in their order."""
    pairs = (part.partition("=") for part in query.split("&") if part)
    return [(unquote(name.replace("+", " ")), unquote(value.replace("+", " "))) for name, _, value in pairs]


def claim_of(request: Request) -> Claim | None:
    """The claim in the Authorization header or in the query of a presigned URL; None for an anonymous request.

    Raises AwsError IncompleteSignature for one that cannot be read.
    """
    header = request.headers.get("authorization", "")
    if header:
        match = _HEADER.search(header)
        if not header.startswith(ALGORITHM) or not match:
            raise AwsError(
                "IncompleteSignature",
                "Authorization header requires 'Credential', 'SignedHeaders' and 'Signature' parameters.",
            )
        return _claim(
            match["credential"],
            match["headers"],
            match["signature"],
            request.headers.get("x-amz-date", ""),
            presigned=False,
            token=request.headers.get("x-amz-security-token"),
            expires=None,
        )
    query = dict(parameters(request.query))
    if "X-Amz-Signature" not in query:
        return None
    expires = query.get("X-Amz-Expires", "")
    return _claim(
        query.get("X-Amz-Credential", ""),
        query.get("X-Amz-SignedHeaders", ""),
        query["X-Amz-Signature"],
        query.get("X-Amz-Date", ""),
        presigned=True,
        token=query.get("X-Amz-Security-Token"),
        expires=int(expires) if _SECONDS.match(expires) else None,
    )


def _claim(
    credential: str,
    headers: str,
    signature: str,
    stamp: str,
    *,
    presigned: bool,
    token: str | None,
    expires: int | None,
) -> Claim:
    parts = credential.split("/")
    if len(parts) != 5 or parts[4] != "aws4_request":
        raise AwsError("IncompleteSignature", "Credential must have exactly 5 slash-delimited elements")
    return Claim(
        parts[0],
        parts[1],
        parts[2],
        parts[3],
        tuple(headers.lower().split(";")),
        signature,
        stamp,
        presigned,
        token,
        expires,
    )


def check(request: Request, claim: Claim, secret: str, now: datetime) -> None:
    """Check the signature and its age; raises AwsError SignatureDoesNotMatch in AWS's words.

    STS lets a presigned GetCallerIdentity live for 15 minutes whatever X-Amz-Expires says (source:
    aws-iam-authenticator, pkg/token/token.go); other services honour X-Amz-Expires.
    """
    if "host" not in claim.signed_headers or not hmac.compare_digest(
        signature(request, claim, secret), claim.signature
    ):
        raise AwsError("SignatureDoesNotMatch", _MISMATCH, 403)
    if claim.service == "s3":
        _check_s3_age(claim, now)
        return
    window = WINDOW
    if claim.presigned and claim.service != "sts" and claim.expires is not None:
        window = timedelta(seconds=claim.expires)
    at = claim.signed_at
    if at < now - window:
        raise AwsError(
            "SignatureDoesNotMatch",
            f"Signature expired: {claim.stamp} is now earlier than {(now - window).strftime(_STAMP)} "
            f"({now.strftime(_STAMP)} - {int(window.total_seconds() // 60)} min.)",
            403,
        )
    if at > now + WINDOW:
        raise AwsError(
            "SignatureDoesNotMatch",
            f"Signature not yet current: {claim.stamp} is still later than {(now + WINDOW).strftime(_STAMP)} "
            f"({now.strftime(_STAMP)} + 15 min.)",
            403,
        )


def _check_s3_age(claim: Claim, now: datetime) -> None:
    """S3 has words of its own ("Error responses", S3 API reference; "Request has expired" as seen in pull failures)."""
    at = claim.signed_at
    if claim.presigned:
        life = timedelta(seconds=claim.expires if claim.expires is not None else 0)
        if claim.expires is None or life > LONGEST_PRESIGNED:
            raise AwsError("AuthorizationQueryParametersError", "X-Amz-Expires must be less than a week (in seconds)")
        if now > at + life:
            raise AwsError("AccessDenied", "Request has expired", 403)
        if at > now + WINDOW:
            raise AwsError("AccessDenied", "Request is not yet valid", 403)
    elif abs(at - now) > WINDOW:
        text = "The difference between the request time and the current time is too large."
        raise AwsError("RequestTimeTooSkewed", text, 403)


def signature(request: Request, claim: Claim, secret: str) -> str:
    """The signature that the holder of `secret` would have put on `request` for the claimed scope and time."""
    digest = hashlib.sha256(_canonical_request(request, claim).encode()).hexdigest()
    text = f"{ALGORITHM}\n{claim.stamp}\n{claim.scope}\n{digest}"
    return hmac.new(_key(claim, secret), text.encode(), hashlib.sha256).hexdigest()


def _key(claim: Claim, secret: str) -> bytes:
    key = f"AWS4{secret}".encode()
    for part in claim.scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    return key


class ChunkSignatures:
    """The signatures of a body that was sent in signed chunks: each one covers its chunk and the signature before.

    Source: "Signature calculations for the Authorization header: transferring payload in multiple chunks", S3 API.
    """

    def __init__(self, claim: Claim, secret: str) -> None:
        self._key = _key(claim, secret)
        self._stem = f"{ALGORITHM}-PAYLOAD\n{claim.stamp}\n{claim.scope}"
        self._last = claim.signature

    def check(self, digest: str, given: str) -> None:
        """Check the next chunk by its SHA-256; raises AwsError SignatureDoesNotMatch."""
        text = f"{self._stem}\n{self._last}\n{_NOTHING}\n{digest}"
        self._last = hmac.new(self._key, text.encode(), hashlib.sha256).hexdigest()
        if not hmac.compare_digest(self._last, given):
            raise AwsError("SignatureDoesNotMatch", _MISMATCH, 403)


def _canonical_request(request: Request, claim: Claim) -> str:
    pairs = sorted(
        (quote(name, safe="-_.~"), quote(value, safe="-_.~"))
        for name, value in parameters(request.query)
        if not (claim.presigned and name == "X-Amz-Signature")
    )
    # every service but S3 signs the path as it is encoded on the wire, encoded once more
    path = request.path or "/"
    path = path if claim.service == "s3" else quote(path, safe="/~")
    headers = [f"{name}:{' '.join(request.headers.get(name, '').split())}" for name in claim.signed_headers]
    return "\n".join(
        [
            request.method,
            path,
            "&".join(f"{name}={value}" for name, value in pairs),
            *headers,
            "",
            ";".join(claim.signed_headers),
            _payload_hash(request, claim),
        ]
    )


def _payload_hash(request: Request, claim: Claim) -> str:
    declared = request.headers.get("x-amz-content-sha256")
    if declared is not None and declared.startswith(("UNSIGNED-PAYLOAD", "STREAMING-")):
        return declared
    if claim.presigned and claim.service == "s3":
        return "UNSIGNED-PAYLOAD"
    if request.upload is None:
        return hashlib.sha256(request.body).hexdigest()
    request.upload.seek(0)
    actual = hashlib.file_digest(request.upload, "sha256").hexdigest()  # type: ignore[arg-type]  # any binary file
    request.upload.seek(0)
    return actual
