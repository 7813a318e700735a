"""Secrets of any letters, in the texts that tools put them in: none may come through because of those it has."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable

import pytest
import yaml

from islanding.redact import redact
from tests.lab.canaries import Canaries, search


def environment(canaries: Canaries) -> dict[str, str]:
    """A session's credentials, by the names of their variables."""
    return {
        "AWS_ACCESS_KEY_ID": canaries.access_key_id,
        "AWS_SECRET_ACCESS_KEY": canaries.secret_key,
        "AWS_SESSION_TOKEN": canaries.session_token,
    }


def credentials_file(canaries: Canaries) -> str:
    """~/.aws/credentials."""
    return "\n".join(["[default]", *(f"{name.lower()} = {value}" for name, value in environment(canaries).items())])


def kubeconfig(canaries: Canaries) -> str:
    """A kubeconfig with a key, a token and a password."""
    key = base64.b64encode(canaries.pem.encode()).decode()
    users = [
        {"name": "a", "user": {"client-key-data": key, "token": f"k8s-aws-v1.{canaries.eks_token}"}},
        {"name": "b", "user": {"username": "b", "password": canaries.password}},
    ]
    return yaml.safe_dump({"kind": "Config", "users": users})


def curl(canaries: Canaries) -> str:
    """What `curl -v` says of a request with a token, and of a reply with a cookie."""
    return (
        f"> Authorization: Bearer {canaries.bearer}\n> Authorization: Bearer k8s-aws-v1.{canaries.eks_token}\n"
        f"< Set-Cookie: session={canaries.password}; Path=/\n"
    )


def metadata(canaries: Canaries) -> str:
    """What the instance metadata service answers for a role."""
    role = {"SecretAccessKey": canaries.secret_key, "Token": canaries.session_token, "key": canaries.pem}
    return json.dumps({"AccessKeyId": canaries.access_key_id, **role}, indent=1)


TEXTS: dict[str, Callable[[Canaries], str]] = {
    "env": lambda c: "\n".join(f"{name}={value}" for name, value in environment(c).items()),
    "export": lambda c: "\n".join(f"export {name}={value}" for name, value in environment(c).items()),
    "a dict": lambda c: repr(environment(c)),
    "a row": lambda c: f"{c.access_key_id}\t{c.secret_key}\t{c.session_token}",
    "an address": lambda c: f"cannot reach smtp://alarm:{c.password}@mail.example:587: {c.pem}",
    "credentials": credentials_file,
    "kubeconfig": kubeconfig,
    "kubeconfig in JSON": lambda c: json.dumps(yaml.safe_load(kubeconfig(c))),
    "curl -v": curl,
    "metadata": metadata,
}
WRAPPED: dict[str, Callable[[str], str]] = {
    "as it is": str,
    "in a traceback": lambda text: "\n".join(f"E       {line}" for line in text.split("\n")),
    "in repr": repr,
    "in JSON": lambda text: json.dumps({"text": text}),
    "in JSON in JSON": lambda text: json.dumps({"body": json.dumps({"text": text})}),
}


@pytest.mark.parametrize("wrapped", WRAPPED)
@pytest.mark.parametrize("text", TEXTS)
def test_no_letters_bring_a_secret_through(text: str, wrapped: str) -> None:
    """Of a hundred secrets of each kind none is found in any form, however the text is wrapped."""
    for _ in range(100):
        canaries = Canaries.hatch()
        said = WRAPPED[wrapped](TEXTS[text](canaries))

        assert search({"text": said.encode()}, canaries), "nothing was there to be taken out"
        assert [] == search({"text": redact(said).encode()}, canaries), redact(said)
