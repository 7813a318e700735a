"""Checks evidence offline: python verify_bundle.py BUNDLE (folder or .zip) PUBLIC-KEY.pem; exit code 0: it holds."""

import base64, hashlib, io, json, pathlib, re, sys, typing, zipfile  # noqa: E401, I001 - to fit on one page
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

SIGNED, TOLD, STAMP, KIND = "attestation.intoto.json", "manifest.json", "timestamp.tsr", "application/vnd.in-toto+json"
ENTRY = re.compile(rb'(.*, "n": ([0-9]+)), "hash": "([0-9a-f]{64})"\}', re.DOTALL)  # of a chained journal


def must(holds: object, what: str) -> None:
    """Raise an error that says what is wrong, unless it holds."""
    if not holds:
        raise ValueError(what)


def load(path: pathlib.Path) -> dict[str, bytes]:
    """The files of a bundle by name; nothing is unpacked, and an archive must be what its own files make."""
    if path.is_dir():
        found = [each for each in sorted(path.rglob("*")) if each.is_symlink() or not each.is_dir()]
        must(all(each.is_file() and not each.is_symlink() for each in found), "it holds a link or a device")
        return {each.relative_to(path).as_posix(): each.read_bytes() for each in found}
    with zipfile.ZipFile(path) as given:
        must(sum(each.file_size for each in given.infolist()) < path.stat().st_size, "the archive is a bomb")
        files = {each.filename: given.read(each) for each in given.infolist()}
    with zipfile.ZipFile(made := io.BytesIO(), "w") as again:
        for entry in map(zipfile.ZipInfo, sorted(files)):
            entry.create_system, entry.external_attr = 3, 0o100644 << 16
            again.writestr(entry, files[entry.filename])
    must(made.getvalue() == path.read_bytes(), "the archive is not the one that its files make")
    return files


def check(files: dict[str, bytes], key: typing.Any) -> None:
    """Key, signature, statement, manifest, files, journal: each vouches for the next; then what the run came to."""
    envelope = json.loads(files[SIGNED])
    payload, sig = (base64.b64decode(text) for text in (envelope["payload"], envelope["signatures"][0]["sig"]))
    der = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    signature = {"keyid": hashlib.sha256(der).hexdigest(), "sig": base64.b64encode(sig).decode()}
    whole = {"payload": base64.b64encode(payload).decode(), "payloadType": KIND, "signatures": [signature]}
    must(files[SIGNED] == json.dumps(whole, indent=1).encode() + b"\n", f"{SIGNED}: another key, or it was changed")
    scheme = [ec.ECDSA(hashes.SHA256())] if isinstance(key, ec.EllipticCurvePublicKey) else []  # else Ed25519
    key.verify(sig, b"DSSEv1 %d %b %d %b" % (len(KIND), KIND.encode(), len(payload), payload), *scheme)
    statement, sums = json.loads(payload), {name: hashlib.sha256(data).hexdigest() for name, data in files.items()}
    must(any(each["name"] == TOLD for each in statement["subject"]), f"{SIGNED}: is about something else")
    for each in statement["subject"]:
        must(sums.get(each["name"]) == each["digest"]["sha256"], f"{each['name']}: is not what was signed")
    told, before, lines = json.loads(files[TOLD]), "0" * 64, files["journal.jsonl"].removesuffix(b"\n").split(b"\n")
    for name in sorted({*told["files"], *files} - {SIGNED, TOLD, STAMP}):
        must(sums.get(name) == told["files"].get(name, {}).get("sha256"), f"{name}: was changed, added or removed")
    for number, (line, entry) in enumerate(((line, ENTRY.fullmatch(line)) for line in lines), 1):
        before = hashlib.sha256(before.encode() + (entry[1] if entry else line)).hexdigest()
        holds = (int(entry[2]), entry[3].decode()) == (number, before) if entry else not ENTRY.fullmatch(lines[0])
        must(holds or not (entry or told["run"]["complete"]), f"journal.jsonl: line {number} breaks the chain")
    print("HOLDS:", statement["predicate"]["result"], len(sums), "files", ", time stamp not checked" * (STAMP in files))


if __name__ == "__main__":
    sys.excepthook = lambda kind, error, _: print(f"WRONG: {error} ({kind.__name__})", file=sys.stderr)
    check(load(pathlib.Path(sys.argv[1])), serialization.load_pem_public_key(pathlib.Path(sys.argv[2]).read_bytes()))
