"""Secrets that are planted to see where they come out, and the search for them in every byte that a run leaves."""

from __future__ import annotations

import base64
import gzip
import json
import os
import zipfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from random import choices
from string import ascii_letters
from urllib.parse import quote

VARIABLE = "CANARIES"  # the file in which the run's cases find what to plant


@dataclass(frozen=True)
class Canaries:
    """One secret of each kind, of this run alone; the private key is its lines of base64.

    The password is of letters alone, which gives a pattern least to go by. The phrase has no name beside it wherever it
    is said: only the environment of the run tells that it is a secret.
    """

    access_key_id: str
    secret_key: str
    session_token: str
    eks_token: str
    bearer: str
    private_key: tuple[str, ...]
    password: str
    phrase: str

    @classmethod
    def hatch(cls) -> Canaries:
        """New ones, in the shape that the real ones have."""

        def letters(count: int) -> str:
            return base64.b64encode(os.urandom(count)).decode()[:count]

        head = base64.urlsafe_b64encode(b'{"alg":"RS256","kid":"canary"}').decode().rstrip("=")
        body = base64.urlsafe_b64encode(json.dumps({"sub": letters(30)}).encode()).decode().rstrip("=")
        return cls(
            access_key_id="ASIA" + base64.b32encode(os.urandom(10)).decode(),
            secret_key=letters(40),
            session_token="IQoJb3JpZ2luX2Vj" + letters(180),
            eks_token=base64.urlsafe_b64encode(
                b"https://sts.example/?X-Amz-Signature=" + letters(90).encode()
            ).decode(),
            bearer=f"{head}.{body}.{base64.urlsafe_b64encode(os.urandom(40)).decode()}",
            private_key=("MIIEpAIBAAKC" + letters(52), *(letters(64) for _ in range(6))),
            password="Pw-" + "".join(choices(ascii_letters, k=12)),
            phrase=f"battery {letters(15)} staple",
        )

    @property
    def pem(self) -> str:
        """The private key as a file."""
        return "\n".join(["-----BEGIN RSA PRIVATE KEY-----", *self.private_key, "-----END RSA PRIVATE KEY-----", ""])

    @property
    def secrets(self) -> dict[str, str]:
        """What must not be found; the access key's id is none."""
        keys = {f"private key, line {number}": line for number, line in enumerate(self.private_key, 1)}
        return {
            "secret access key": self.secret_key,
            "session token": self.session_token[16:],
            "EKS token": self.eks_token,
            "bearer token": self.bearer.rpartition(".")[2],
            "password": self.password,
            "phrase": self.phrase,
            **keys,
        }


def forms(secret: str) -> dict[str, bytes]:
    """How a secret may stand in a file: plain, percent-encoded once and twice, hexadecimal, base64 at each offset."""
    raw = secret.encode()
    once = quote(secret, safe="")
    made = {
        "plain": raw,
        "in JSON": json.dumps(secret)[1:-1].encode(),
        "percent-encoded": once.encode(),
        "percent-encoded twice": quote(once, safe="").encode(),
        "hexadecimal": raw.hex().encode(),
        "HEXADECIMAL": raw.hex().upper().encode(),
        "reversed": raw[::-1],
    }
    for offset in range(3):
        # Of the letters at both ends some bits belong to what stands beside the secret.
        encoded = base64.b64encode(b"\0" * offset + raw)
        inner = encoded[(0, 2, 3)[offset] : len(encoded) // 4 * 4 - 4]
        made[f"base64 at offset {offset}"] = inner
        made[f"base64url at offset {offset}"] = inner.translate(bytes.maketrans(b"+/", b"-_"))
    return made


def search(contents: Mapping[str, bytes], canaries: Canaries) -> list[str]:
    """Where which secret was found, and in which form; archives are looked into, names are searched too."""
    wanted = {(kind, form): value for kind, secret in canaries.secrets.items() for form, value in forms(secret).items()}
    found = []
    for name, content in _opened(contents):
        both = name.encode(errors="surrogateescape") + b"\n" + content
        found += [f"{name}: {kind}, {form}" for (kind, form), value in wanted.items() if value in both]
    return found


def _opened(contents: Mapping[str, bytes]) -> Iterator[tuple[str, bytes]]:
    for name, content in contents.items():
        yield name, content
        if content.startswith(b"PK\x03\x04"):
            with zipfile.ZipFile(BytesIO(content)) as archive:
                yield from _opened({f"{name}!{member}": archive.read(member) for member in archive.namelist()})
        elif content.startswith(b"\x1f\x8b"):
            yield from _opened({f"{name}!": gzip.decompress(content)})


def files(*folders: Path) -> dict[str, bytes]:
    """Every file below some folders."""
    return {
        str(path): path.read_bytes()
        for folder in folders
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }
