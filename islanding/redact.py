"""Takes secrets out of texts before they are shown or kept: tokens, presigned signatures, private keys, passwords.

A text of evidence must stay readable word for word, so only the secret itself is replaced, by REDACTED, and what stood
around it (the name of the parameter, the kind of the token) stays.
"""

from __future__ import annotations

import re

REDACTED = "[redacted]"

# A Kubernetes bearer token of EKS is `k8s-aws-v1.` + the presigned URL in base64url without padding.
_EKS_TOKEN = re.compile(r"(k8s-aws-v1\.)[A-Za-z0-9_=%+/-]+")

# Query parameters of a SigV4 presigned URL that let its holder act, plain or percent-encoded (`%3D`, `%253D`), or as
# JSON's escaped `=`; the credential scope and the expiry are no secrets and stay.
_PRESIGNED = re.compile(
    r"((?:X-Amz-Signature|X-Amz-Security-Token)(?:%(?:25)*3D|\\u003d|\\?[\"']?[ \t]*[:=][ \t]*\\?[\"']?))"
    r"[^&\s\"'<>\\,}]+",
    re.IGNORECASE,
)

# The header form of SigV4: Authorization: AWS4-HMAC-SHA256 Credential=…, SignedHeaders=…, Signature=….
_SIGNATURE = re.compile(r"(\bSignature=)[0-9a-fA-F]{16,}")

# Authorization headers, as curl -v and kubectl -v=9 print them.
_BEARER = re.compile(r"(\b(?:Bearer|Basic)\s+)(?!k8s-aws-v1\.)[A-Za-z0-9._~+/=-]{12,}")

# A JSON Web Token (service accounts, OIDC): header and payload begin with the base64url of `{"`.
_JWT = re.compile(r"\beyJ[A-Za-z0-9_-]{6,}\.eyJ[A-Za-z0-9_-]{6,}\.[A-Za-z0-9_-]*")

# What a second person signed for a fault on a production site (islanding/guard/confirmation.py).
_CONFIRMATION = re.compile(r"(islanding-confirmation-v1\.)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?")

# A private key in PEM, whole or cut off before its end.
_PRIVATE_KEY = re.compile(
    r"(-----BEGIN [A-Z0-9 ]*PRIVATE KEY-----).*?(-----END [A-Z0-9 ]*PRIVATE KEY-----|\Z)", re.DOTALL
)

# `client-key-data:` of a kubeconfig, and the fields of AWS credentials, in YAML, JSON, INI or the environment.
_FIELD = re.compile(
    r"(\b(?:client-key-data|aws_secret_access_key|aws_session_token|SecretAccessKey|SessionToken|authorizationToken)"
    r"(?:\\?[\"']?[ \t]*[:=][ \t]*\\?[\"']?|>))[A-Za-z0-9+/=_-]{8,}",
    re.IGNORECASE,
)


def redact(text: str) -> str:
    """Return `text` with each secret in it replaced by REDACTED; redacting twice changes nothing more."""
    text = _PRIVATE_KEY.sub(lambda m: f"{m[1]}{REDACTED}{m[2]}", text)
    for pattern in (_EKS_TOKEN, _PRESIGNED, _SIGNATURE, _BEARER, _JWT, _CONFIRMATION, _FIELD):
        text = pattern.sub(lambda m: f"{m[1] if m.re.groups else ''}{REDACTED}", text)
    return text
