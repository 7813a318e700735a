"""Secrets never reach a record or a report."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.evidence.clean import clean, clip
from islanding.redact import REDACTED, redact

SECRET = "c0ffee0123456789ABCDEFabcdef"
PEM = f"-----BEGIN EC PRIVATE KEY-----\n{SECRET}\n{SECRET}\n"


@pytest.mark.parametrize(
    "text",
    [
        f"Authorization: Bearer k8s-aws-v1.{SECRET}",
        f"token: k8s-aws-v1.{SECRET}_-",
        f"https://sts.eu-west-1.amazonaws.com/?Action=x&X-Amz-Signature={SECRET}&X-Amz-Expires=60",
        f"X-Amz-Security-Token%3D{SECRET}",
        f"X-Amz-Signature%253D{SECRET}",
        f'{{"X-Amz-Security-Token": "{SECRET}"}}',
        f"url\\u0026X-Amz-Signature\\u003d{SECRET}",
        f"AWS4-HMAC-SHA256 Credential=AKIA/x, SignedHeaders=host, Signature={SECRET}",
        f"Authorization: Basic {SECRET}=",
        f"eyJhbGciOi.eyJpc3MiOi.{SECRET}",
        PEM + "-----END EC PRIVATE KEY-----",
        PEM,
        f"    client-key-data: {SECRET}==",
        f"aws_secret_access_key = {SECRET}",
        f"AWS_SESSION_TOKEN={SECRET}",
        f'"SecretAccessKey": "{SECRET}"',
        f'{{\\"SecretAccessKey\\": \\"{SECRET}\\"}}',
        f"'X-Amz-Security-Token': '{SECRET}'",
        f"<SessionToken>{SECRET}</SessionToken>",
    ],
)
def test_a_secret_never_stays(text: str) -> None:
    """Each kind of secret is replaced, and only once."""
    found = redact(text)

    assert SECRET not in found
    assert REDACTED in found
    assert redact(found) == found


@pytest.mark.parametrize(
    "text",
    [
        "error: You must be logged in to the server (Unauthorized)",
        "Unable to connect to the server: net/http: TLS handshake timeout",
        'Post "https://api.ecr.eu-west-1.amazonaws.com/": dial tcp 10.0.0.5:443: i/o timeout',
        "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----",
        "no basic auth credentials",
        "X-Amz-Expires=60",
    ],
)
def test_what_is_no_secret_stays_word_for_word(text: str) -> None:
    """Messages that users see are evidence: not a letter changes."""
    assert redact(text) == text


def test_what_follows_a_key_is_kept() -> None:
    """A private key ends where it says so."""
    assert redact(f"{PEM}-----END EC PRIVATE KEY-----\nafter").endswith("-----\nafter")


def test_terminal_sequences_are_made_visible() -> None:
    """Escapes, carriage returns and direction overrides can be read and do nothing."""
    assert clean("a\x1b[2Jb\rc\u202ed\x9b1m\ud800\n\te\r\n") == "a‹ESC›[2Jb‹CR›c‹U+202E›d‹CSI›1m‹U+D800›\n\te\n"


@given(st.text(st.characters(codec=None)))
def test_cleaned_text_holds_no_control(text: str) -> None:
    """Whatever the text, no control character but newline and tab is left, and it can be written."""
    found = clean(text)

    assert not [c for c in found if (ord(c) < 32 and c not in "\n\t") or 127 <= ord(c) < 160]
    found.encode()


def test_what_is_clipped_is_said() -> None:
    """The number of characters that were left out stands in the text."""
    assert clip("abc\ndef\nghi", lines=2) == "abc\ndef\n[… 4 more characters in the journal]"
    assert clip("abc") == "abc"
