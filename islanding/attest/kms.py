"""The signer whose key never leaves AWS KMS: an asymmetric key on P-256, used by `kms:Sign` and `kms:GetPublicKey`."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from typing import Any

from cryptography.hazmat.primitives.serialization import load_der_public_key

from islanding.attest.keys import PublicKey, accepted
from islanding.errors import SetupError

ALGORITHM = "ECDSA_SHA_256"


class KmsSigner:
    """Signs by a key of AWS KMS; Region and credentials are found as the AWS CLI finds them."""

    def __init__(self, key_id: str, client: Any = None) -> None:
        """Fetch the public half; `key_id` is an id, an ARN or an alias. Raises SetupError when it cannot sign."""
        self._id = key_id
        self._client = client or _client()
        answer = self._call(self._client.get_public_key)
        if ALGORITHM not in answer.get("SigningAlgorithms", ()):
            # Ed25519 of KMS takes messages of 4096 bytes at most (kms:Sign, MessageType RAW): a statement is longer.
            raise SetupError(
                f"the KMS key {key_id} cannot sign by {ALGORITHM}", "It must be made with KeySpec ECC_NIST_P256."
            )
        self.public = PublicKey(accepted(load_der_public_key(answer["PublicKey"]), f"the KMS key {key_id}"))

    def sign(self, data: bytes) -> bytes:
        digest = hashlib.sha256(data).digest()
        answer = self._call(self._client.sign, Message=digest, MessageType="DIGEST", SigningAlgorithm=ALGORITHM)
        return bytes(answer["Signature"])

    def _call(self, operation: Callable[..., dict[str, Any]], **arguments: Any) -> dict[str, Any]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            return operation(KeyId=self._id, **arguments)
        except (BotoCoreError, ClientError) as error:
            raise SetupError(f"AWS KMS cannot sign by {self._id}: {error}", "Try: aws kms get-public-key") from error


def _client() -> Any:
    import boto3
    from botocore.exceptions import BotoCoreError

    try:
        return boto3.client("kms")
    except BotoCoreError as error:
        raise SetupError(f"AWS KMS cannot be called: {error}", "Set AWS_REGION and credentials.") from error
