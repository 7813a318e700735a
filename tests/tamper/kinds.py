"""The ways to tamper with a bundle: each takes one and a source of randomness, and gives back what it made of it."""

from __future__ import annotations

import base64
import hashlib
import io
import json
import random
import zipfile
from collections.abc import Callable
from typing import Any

from islanding import chain
from islanding.attest import dsse
from islanding.attest.layout import ATTESTATION, JOURNAL, MANIFEST
from tests.tamper.bundles import KeyInMemory, Made, zipped

Files = dict[str, bytes]
Tampered = Files | bytes
Kind = Callable[[Made, random.Random], Tampered]


def flip(data: bytes, rng: random.Random) -> bytes:
    """The bytes with one of them changed."""
    at = rng.randrange(len(data))
    return data[:at] + bytes([data[at] ^ rng.randrange(1, 256)]) + data[at + 1 :]


def _some(made: Made, rng: random.Random) -> str:
    return rng.choice(sorted(name for name, data in made.files.items() if data))


def flip_in_file(made: Made, rng: random.Random) -> Tampered:
    """One byte of one file."""
    name = _some(made, rng)
    return made.files | {name: flip(made.files[name], rng)}


def flip_in_zip(made: Made, rng: random.Random) -> Tampered:
    """One byte anywhere in the zip."""
    return flip(made.zip, rng)


def cut_file(made: Made, rng: random.Random) -> Tampered:
    """The end of a file."""
    name = _some(made, rng)
    return made.files | {name: made.files[name][: rng.randrange(len(made.files[name]))]}


def lengthen_file(made: Made, rng: random.Random) -> Tampered:
    """Something behind a file."""
    name = _some(made, rng)
    return made.files | {name: made.files[name] + rng.randbytes(rng.randint(1, 9))}


def remove_file(made: Made, rng: random.Random) -> Tampered:
    """A file is gone."""
    name = rng.choice(sorted(made.files))
    return {other: data for other, data in made.files.items() if other != name}


def rename_file(made: Made, rng: random.Random) -> Tampered:
    """A file has another name."""
    name = rng.choice(sorted(made.files))
    new = name + rng.choice([".bak", "~", " ", "2"])
    return {new if other == name else other: data for other, data in made.files.items()}


def add_file(made: Made, rng: random.Random) -> Tampered:
    """A file more, in the folder or in the zip."""
    name = rng.choice(["", "logs/", "inputs/", "inputs/sites/edge/"]) + rng.choice(["x", "site.yml", ".hidden", "é"])
    files = made.files | {name: rng.randbytes(rng.randint(0, 9))}
    return files if rng.random() < 0.5 else zipped(files)


def swap_files(made: Made, rng: random.Random) -> Tampered:
    """Two files, one in the place of the other."""
    one, other = rng.sample(sorted(made.files), 2)
    return made.files | {one: made.files[other], other: made.files[one]}


def edit_journal(made: Made, rng: random.Random) -> Tampered:
    """An entry removed, doubled, moved or changed, hashes left as they are."""
    lines = made.files[JOURNAL].splitlines()
    at = rng.randrange(len(lines))
    what = rng.randrange(4)
    if what == 0:
        del lines[at]
    elif what == 1:
        lines.insert(rng.randrange(len(lines)), lines[at])
    elif what == 2:
        other = (at + rng.randrange(1, len(lines))) % len(lines)
        lines[at], lines[other] = lines[other], lines[at]
    else:
        lines[at] = flip(lines[at], rng)
    return made.files | {JOURNAL: b"\n".join(lines) + b"\n"}


def edit_journal_and_manifest(made: Made, rng: random.Random) -> Tampered:
    """The same, by somebody who knows of the manifest but has no key."""
    files = edit_journal(made, rng)
    assert isinstance(files, dict)
    return _with_manifest(files)


def rewrite_journal(made: Made, rng: random.Random) -> Tampered:
    """A verdict turned, and the whole chain, the manifest and its sizes made anew; only the key is lacking."""
    bodies = [json.loads(line) for line in made.files[JOURNAL].splitlines()]
    turned = rng.choice([body for body in bodies if "seconds" in body])
    turned |= {"seconds": turned["seconds"] + rng.random(), "reason": str(rng.random())}
    kept = [{key: value for key, value in body.items() if key not in chain.RESERVED} for body in bodies]
    lines = chain.sealed([json.dumps(body).encode() for body in kept])
    return _with_manifest(made.files | {JOURNAL: b"".join(line + b"\n" for line in lines)})


def edit_manifest(made: Made, rng: random.Random) -> Tampered:
    """What the manifest says of the run."""
    told = json.loads(made.files[MANIFEST])
    told["run"][rng.choice(["verdict", "name", "revision", "ended"])] = str(rng.random())
    return made.files | {MANIFEST: _json(told)}


def sign_by_another_key(made: Made, rng: random.Random) -> Tampered:
    """Everything right, by a key that nobody knows; sometimes under the id of the right one."""
    forged = _with_manifest(made.files | {"logs/edge/pytest.log": rng.randbytes(8)})
    statement = json.loads(dsse.decode(forged[ATTESTATION]).payload)
    for subject in statement["subject"]:
        subject["digest"]["sha256"] = hashlib.sha256(forged[subject["name"]]).hexdigest()
    payload = json.dumps(statement).encode()
    signer = KeyInMemory(str(rng.random()))
    keyid = rng.choice([signer.public.id, made.key.id])
    return forged | {
        ATTESTATION: dsse.Envelope(payload, keyid, signer.sign(dsse.pae(dsse.PAYLOAD_TYPE, payload))).encode()
    }


def edit_statement(made: Made, rng: random.Random) -> Tampered:
    """What is signed, under the old signature."""
    envelope = json.loads(made.files[ATTESTATION])
    payload = flip(base64.b64decode(envelope["payload"]), rng)
    envelope["payload"] = base64.b64encode(payload).decode()
    return made.files | {ATTESTATION: json.dumps(envelope, indent=1).encode() + b"\n"}


def edit_envelope(made: Made, rng: random.Random) -> Tampered:
    """What no signature covers: the key's id, a second signature, another way to write the same."""
    envelope = json.loads(made.files[ATTESTATION])
    what = rng.randrange(4)
    if what == 0:
        envelope["signatures"][0]["keyid"] = hashlib.sha256(rng.randbytes(4)).hexdigest()
    elif what == 1:
        envelope["signatures"].append({"keyid": "0" * 64, "sig": base64.b64encode(rng.randbytes(64)).decode()})
    elif what == 2:
        envelope[rng.choice(["note", "x"])] = str(rng.random())
    else:
        return made.files | {ATTESTATION: json.dumps(envelope, indent=rng.randint(2, 9)).encode() + b"\n"}
    return made.files | {ATTESTATION: json.dumps(envelope, indent=1).encode() + b"\n"}


def lengthen_zip(made: Made, rng: random.Random) -> Tampered:
    """Something before or behind the zip."""
    more = rng.randbytes(rng.randint(1, 30))
    return more + made.zip if rng.random() < 0.5 else made.zip + more


def cut_zip(made: Made, rng: random.Random) -> Tampered:
    """The end of the zip."""
    return made.zip[: rng.randrange(len(made.zip))]


def trick_zip(made: Made, rng: random.Random) -> Tampered:
    """An entry that leads out, is a link, is there twice, or is compressed; or a remark, or other times and modes."""
    target = io.BytesIO(made.zip)
    what = rng.randrange(6)
    with zipfile.ZipFile(target, "a") as archive:
        if what == 0:
            archive.writestr(rng.choice(["../x", "/x", "a/../../x", "C:x", "a\\b", "./x", "a//b"]), b"x")
        elif what == 1:
            link = zipfile.ZipInfo("link")
            link.create_system, link.external_attr = 3, 0o120777 << 16
            archive.writestr(link, "/etc/passwd")
        elif what == 2:
            archive.NameToInfo.clear()  # so that it does not warn of what is meant
            archive.writestr(zipfile.ZipInfo(rng.choice(sorted(made.files))), rng.randbytes(5))
        elif what == 3:
            archive.writestr("bomb", b"\0" * 500_000, zipfile.ZIP_DEFLATED, 9)
        elif what == 4:
            archive.comment = rng.randbytes(rng.randint(1, 20))
        else:
            entry = rng.choice(archive.filelist)
            entry.date_time = (1980 + rng.randint(1, 40), 1, 1, 0, 0, 0)
            archive._didModify = True  # type: ignore[attr-defined]  # so that the directory is written anew
    return target.getvalue()


def _with_manifest(files: Files) -> Files:
    told: dict[str, Any] = json.loads(files[MANIFEST])
    for name, entry in told["files"].items():
        entry |= {"size": len(files[name]), "sha256": hashlib.sha256(files[name]).hexdigest()}
    return files | {MANIFEST: _json(told)}


def _json(told: dict[str, Any]) -> bytes:
    return json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False).encode() + b"\n"


KINDS: tuple[Kind, ...] = (
    flip_in_file,
    flip_in_zip,
    cut_file,
    lengthen_file,
    remove_file,
    rename_file,
    add_file,
    swap_files,
    edit_journal,
    edit_journal_and_manifest,
    rewrite_journal,
    edit_manifest,
    sign_by_another_key,
    edit_statement,
    edit_envelope,
    lengthen_zip,
    cut_zip,
    trick_zip,
)
