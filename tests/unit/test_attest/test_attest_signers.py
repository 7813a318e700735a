"""Who signs: keys in files with and without a passphrase, a PKCS#11 token (SoftHSM), and AWS KMS (moto)."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa, utils
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from islanding.attest import pkcs11
from islanding.attest.keys import PublicKey
from islanding.attest.kms import KmsSigner
from islanding.attest.layout import ARCHIVE, ATTESTATION, FOLDER
from islanding.attest.pkcs11 import TokenSigner
from islanding.attest.signer import PASSPHRASE, FileSigner
from islanding.cli import main
from islanding.errors import SetupError
from tests.tamper.bundles import journal, run_folder

SOFTHSM = next((path for path in Path("/usr/lib").glob("**/libsofthsm2.so")), None)
DATA = b"DSSEv1 " + b"x" * 5000  # longer than the 4096 bytes that KMS takes whole


def key_file(folder: Path, key: Any, passphrase: str = "") -> Path:
    """A private key in PEM."""
    protection = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    path = folder / "key.pem"
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, protection))
    return path


def public_file(folder: Path, key: PublicKey) -> Path:
    """A public key in PEM."""
    path = folder / "key.pub"
    path.write_bytes(key.key.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return path


@pytest.mark.parametrize("make", [ed25519.Ed25519PrivateKey.generate, lambda: ec.generate_private_key(ec.SECP256R1())])
def test_a_key_in_a_file_signs(tmp_path: Path, make: Any) -> None:
    """Its public half verifies that, and nothing else."""
    signer = FileSigner(key_file(tmp_path, make()), None)

    signature = signer.sign(DATA)

    assert signer.public.verifies(signature, DATA)
    assert not signer.public.verifies(signature, DATA + b"y")


def test_a_passphrase_comes_from_a_file_or_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """`islanding report` signs by it; the bundle holds, made twice it is the same."""
    key = key_file(tmp_path, ed25519.Ed25519PrivateKey.generate(), "secret words")
    (tmp_path / "words").write_text("secret words\n")
    public = public_file(tmp_path, FileSigner(key, b"secret words").public)
    run = run_folder(tmp_path / "run")
    options = ["report", str(run), "--quiet", "--sign-key", str(key)]

    by_file = CliRunner().invoke(main, [*options, "--passphrase-file", str(tmp_path / "words")])
    first = (run / ARCHIVE).read_bytes()
    monkeypatch.setenv(PASSPHRASE, "secret words")
    by_environment = CliRunner().invoke(main, options)
    verified = CliRunner().invoke(main, ["verify", str(run / ARCHIVE), "--key", str(public)])

    assert (by_file.exit_code, by_environment.exit_code, verified.exit_code) == (0, 0, 0)
    assert (run / ARCHIVE).read_bytes() == first


@pytest.mark.parametrize(
    ("passphrase", "told"),
    [(None, "password was not given"), (b"wrong", "is no private key in PEM, or the passphrase is wrong")],
)
def test_a_wrong_passphrase_is_told(tmp_path: Path, passphrase: bytes | None, told: str) -> None:
    """And what to do when there is none."""
    path = key_file(tmp_path, ed25519.Ed25519PrivateKey.generate(), "secret words")

    with pytest.raises(SetupError, match=told):
        FileSigner(path, passphrase)


def test_keys_of_other_kinds_are_refused(tmp_path: Path) -> None:
    """RSA is not taken: the script inside would need a padding to agree on."""
    path = key_file(tmp_path, rsa.generate_private_key(65537, 2048))

    with pytest.raises(SetupError, match="Ed25519 and ECDSA on the curve P-256"):
        FileSigner(path, None)


def test_one_signature_and_not_two(tmp_path: Path) -> None:
    """Two ways to sign at once are refused before anything is made."""
    run = run_folder(tmp_path)

    done = CliRunner().invoke(main, ["report", str(run), "--sign-kms", "a", "--sign-pkcs11", "b"])

    assert done.exit_code == 3
    assert not (run / FOLDER).exists()


# A token


@pytest.fixture(scope="module")
def token(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A SoftHSM token `audit` with a key on P-256 (`signing`) and an Ed25519 key (`edwards`); returns its library."""
    if SOFTHSM is None or not shutil.which("softhsm2-util"):
        pytest.skip("SoftHSM is not installed (apt: softhsm2)")
    library = pytest.importorskip("pkcs11", reason="python-pkcs11 is not installed")
    from pkcs11.util.ec import encode_named_curve_parameters

    home = tmp_path_factory.mktemp("token")
    (home / "tokens").mkdir()
    (home / "softhsm2.conf").write_text(f"directories.tokendir = {home}/tokens\nobjectstore.backend = file\n")
    patch = pytest.MonkeyPatch()
    patch.setenv("SOFTHSM2_CONF", str(home / "softhsm2.conf"))
    init = ["softhsm2-util", "--init-token", "--free", "--label", "audit", "--pin", "1234", "--so-pin", "5678"]
    subprocess.run(init, check=True, capture_output=True, timeout=60)
    found = library.lib(str(SOFTHSM))
    found.reinitialize()
    kinds = library.KeyType
    token = next(found.get_tokens(token_flags=library.TokenFlag.TOKEN_INITIALIZED))
    with token.open(user_pin="1234", rw=True) as session:
        for label, kind, curve, how in (
            ("signing", kinds.EC, "secp256r1", None),
            ("edwards", kinds.EC_EDWARDS, "1.3.101.112", library.Mechanism.EC_EDWARDS_KEY_PAIR_GEN),
        ):
            named = {library.Attribute.EC_PARAMS: encode_named_curve_parameters(curve)}
            made = session.create_domain_parameters(kind, named, local=True)
            made.generate_keypair(store=True, label=label, **({"mechanism": how} if how else {}))
    yield SOFTHSM
    patch.undo()


@pytest.mark.parametrize("label", ["signing", "edwards"])
def test_a_token_signs(token: Path, monkeypatch: pytest.MonkeyPatch, label: str) -> None:
    """By either kind of key; the private half stays in the token."""
    monkeypatch.setenv(pkcs11.PIN, "1234")
    signer = TokenSigner(f"pkcs11:token=audit;object={label}?module-path={token}")

    signature = signer.sign(DATA)

    assert signer.public.verifies(signature, DATA)
    assert not signer.public.verifies(signature, DATA[1:])


def test_a_bundle_is_signed_by_a_token(token: Path, tmp_path: Path) -> None:
    """`islanding report` with the PIN in a file, `islanding verify` by the public half."""
    (tmp_path / "pin").write_text("1234\n")
    uri = f"pkcs11:token=audit;object=signing?module-path={token}&pin-source=file:{tmp_path}/pin"
    run = run_folder(tmp_path / "run")
    public = public_file(tmp_path, TokenSigner(uri).public)

    made = CliRunner().invoke(main, ["report", str(run), "--sign-pkcs11", uri])
    verified = CliRunner().invoke(main, ["verify", str(run / FOLDER), "--key", str(public)])

    assert (made.exit_code, verified.exit_code) == (0, 0)
    assert "1234" not in made.output


@pytest.mark.parametrize(
    ("pin", "uri", "told"),
    [
        ("0000", "pkcs11:token=audit;object=signing", "the token 'audit' cannot be used"),
        ("1234", "pkcs11:token=audit;object=nothing", "the token 'audit' cannot be used"),
        ("1234", "pkcs11:token=other;object=signing", "the token 'other' cannot be used"),
        ("", "pkcs11:token=audit;object=signing", "the token wants a PIN"),
    ],
)
def test_a_token_that_cannot_sign_is_told(
    token: Path, monkeypatch: pytest.MonkeyPatch, pin: str, uri: str, told: str
) -> None:
    """A wrong PIN, a key or a token that is not there."""
    monkeypatch.setenv(pkcs11.PIN, pin)

    with pytest.raises(SetupError, match=told):
        TokenSigner(f"{uri}?module-path={token}")


@pytest.mark.parametrize(
    ("uri", "told"),
    [
        ("slot=1", "not a PKCS#11 URI"),
        ("pkcs11:token=audit", "lacks module-path"),
        ("pkcs11:token=audit?module-path=/m", "lacks object"),
        ("pkcs11:token=audit;object=k?module-path=/m&pin-value=1234", "holds the PIN"),
    ],
)
def test_uris_that_lack_something_are_told(uri: str, told: str) -> None:
    """And one that holds a PIN is refused: other users would see it."""
    with pytest.raises(SetupError, match=told):
        pkcs11.parse(uri)


def test_a_uri_is_unquoted() -> None:
    """Percent-encoded names and ids (RFC 7512)."""
    uri = pkcs11.parse("pkcs11:token=my%20card;id=%01%ff?module-path=/m.so&pin-source=file:/run/pin")

    assert (uri.token, uri.id, uri.module, uri.pin_source) == ("my card", b"\x01\xff", "/m.so", "/run/pin")


# AWS KMS


@pytest.fixture
def kms(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """A client of moto's KMS, mended: moto 5.2 signs a digest as if it were the message (MessageType is ignored)."""
    import boto3
    from moto import mock_aws
    from moto.kms.utils import ECDSAPrivateKey

    def sign(self: Any, message: bytes, signing_algorithm: str) -> bytes:
        assert len(message) == 32  # a digest: the whole message would be too long for KMS
        signature: bytes = self.private_key.sign(message, ec.ECDSA(utils.Prehashed(SHA256())))
        return signature

    monkeypatch.setattr(ECDSAPrivateKey, "sign", sign)
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "testing")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "ap-northeast-1")
    with mock_aws():
        yield boto3.client("kms")


def made_key(kms: Any, spec: str = "ECC_NIST_P256") -> str:
    """The id of a new key."""
    answer = kms.create_key(KeyUsage="SIGN_VERIFY", KeySpec=spec)
    return str(answer["KeyMetadata"]["KeyId"])


def test_kms_signs_a_bundle(kms: Any, tmp_path: Path) -> None:
    """`islanding report --sign-kms`, `islanding verify` by the public half that KMS gives."""
    key = made_key(kms)
    run = run_folder(tmp_path / "run")
    public = public_file(tmp_path, KmsSigner(key).public)

    made = CliRunner().invoke(main, ["report", str(run), "--sign-kms", key])
    verified = CliRunner().invoke(main, ["verify", str(run / FOLDER), "--key", str(public)])

    assert (made.exit_code, verified.exit_code) == (0, 0)


def test_a_kms_key_that_cannot_sign_is_told(kms: Any) -> None:
    """One of another curve, and one that is not there."""
    with pytest.raises(SetupError, match="cannot sign by ECDSA_SHA_256"):
        KmsSigner(made_key(kms, "ECC_NIST_P384"))
    with pytest.raises(SetupError, match="AWS KMS cannot sign by alias/none"):
        KmsSigner("alias/none")


def test_a_signature_that_does_not_hold_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A signer that is set up wrong is told when the bundle is made, not when somebody verifies it."""
    key = key_file(tmp_path, ed25519.Ed25519PrivateKey.generate())
    run = run_folder(tmp_path / "run", journal())
    monkeypatch.setattr(FileSigner, "sign", lambda *_: bytes(64))

    done = CliRunner().invoke(main, ["report", str(run), "--sign-key", str(key)])

    assert done.exit_code == 3
    assert "does not hold by the same key's public half" in done.output
    assert not (run / FOLDER / ATTESTATION).exists()
