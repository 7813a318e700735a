"""A corpus of texts as tools print them: each secret goes, the rest stays word for word; look-alikes stay whole.

In a text with secrets these stand between « and », which are taken out before it is redacted.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from pathlib import Path
from string import ascii_letters, digits

import pytest
from hypothesis import given
from hypothesis import strategies as st

from islanding.journal import Journal, read
from islanding.redact import REDACTED, redact, redact_data, secrets_of

CORPUS = json.loads(Path(__file__).with_name("redact_corpus.json").read_text())
SECRETS: dict[str, str] = CORPUS["secrets"]
HARMLESS: list[str] = CORPUS["harmless"]
KEY = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"


@pytest.mark.parametrize("kind", SECRETS)
def test_secret_goes_and_the_rest_stays_word_for_word(kind: str) -> None:
    """Of a text as a tool prints it only the secret itself is replaced; a second time changes nothing."""
    marked = SECRETS[kind]
    expected = re.sub("«[^»]*»", lambda _: REDACTED, marked)

    found = redact(marked.replace("«", "").replace("»", ""))

    assert expected == found
    assert found == redact(found)


@pytest.mark.parametrize("text", HARMLESS)
def test_look_alike_stays_word_for_word(text: str) -> None:
    """What only looks like a secret, or speaks of one, is evidence."""
    assert text == redact(text)


@pytest.mark.parametrize("kind", SECRETS)
def test_secret_never_reaches_the_journal(kind: str, tmp_path: Path) -> None:
    """However deep in an event, as text, bytes, key, or in JSON inside, no secret of the corpus is written."""
    marked = SECRETS[kind]
    text = marked.replace("«", "").replace("»", "")
    journal = Journal(tmp_path / "journal.jsonl", site=text)
    journal.append("evidence", title=text, text=text.encode(), hops=[{"seen": [text], text: 1}, (json.dumps(text),)])

    written = journal.path.read_text()

    assert [] == [secret for secret in re.findall("«([^»]*)»", marked) if json.dumps(secret)[1:-1] in written]


def test_value_under_a_secret_name_goes() -> None:
    """In a mapping the name stands apart from its value, which may look like anything."""
    event = {"env": {"DB_PASSWORD": "hunter2", "token": "plain words", "HOME": "/root"}, "n": 1, "x": [None, True, 1.5]}

    assert redact_data(event) == {
        "env": {"DB_PASSWORD": REDACTED, "token": REDACTED, "HOME": "/root"},
        "n": 1,
        "x": [None, True, 1.5],
    }


def test_bytes_that_are_no_text_are_kept_readable(tmp_path: Path) -> None:
    """A log that is no UTF-8 is shown with its bytes, and lone surrogates of a file name survive the journal."""
    journal = Journal(tmp_path / "journal.jsonl")
    journal.append("evidence", title="caf\udce9", text=b"caf\xe9 \xff \xe6\x97\xa5")

    (event,) = read(journal.path)

    assert ("caf\udce9", "caf\\xe9 \\xff 日") == (event["title"], event["text"])


def test_secrets_of_the_environment_are_known_by_their_values() -> None:
    """The run's own credentials are found wherever they stand, percent-encoded too; short values and paths are not."""
    environment = {
        "AWS_SECRET_ACCESS_KEY": KEY,
        "A_TOKEN": "short",
        "B_TOKEN": "/var/run/secrets/token",
        "HOME": "/srv/x/y/z",
    }

    assert secrets_of(environment) == (KEY.replace("/", "%2F").replace("+", "%2B"), KEY)


PASSWORDS = st.text(st.sampled_from(ascii_letters + digits + "-_.+/=!#@"), min_size=8, max_size=40)


@given(PASSWORDS, st.sampled_from("E |>-"))
def test_a_passwords_letters_do_not_matter(password: str, mark: str) -> None:
    """A user's password in a kubeconfig goes, whatever it is made of and whatever marks its line."""
    text = f"{mark}       user:\n{mark}         password: {password}\n{mark}         username: b"

    assert text.replace(password, REDACTED) == redact(text)


def test_what_the_environment_says_is_secret_goes_from_any_text() -> None:
    """A value without a name or a shape is known by the environment of the process, in a log as in the journal."""
    program = "import sys; from islanding.redact import redact; sys.stdout.write(redact('said correct horse battery'))"
    environment = {**os.environ, "VAULT_PASSWORD": "correct horse battery"}

    said = subprocess.run([sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True)

    assert f"said {REDACTED}" == said.stdout


@given(st.text(st.sampled_from("aA0=:/&@-_.\"'\\ \nMIe"), max_size=60))
def test_redacting_twice_changes_nothing_more(text: str) -> None:
    """Texts are redacted when they are written and again when they are shown."""
    once = redact(f"token={text} password: {text}\nhttps://u:{text}@h Bearer {text}")

    assert once == redact(once)


@pytest.mark.parametrize(
    "piece",
    [
        "a",
        "A",
        "1",
        " ",
        "\n",
        "=",
        "eyJ",
        "eyJa.",
        "a:",
        "://",
        "u://a:",
        "--token ",
        "--pass",
        "'",
        '"token',
        "-----BEGIN PRIVATE KEY-----",
        "-----END PRIVATE KEY-----",
        "QUJD\n",
        "Cookie: a=b;",
        "AKIAIOSFODNN7EXAMPLE ",
        "login a password ",
        "Bearer ",
        "%2525",
        "\\\\",
        "token: ",
        "Authorization: ",
        "Signature=",
        "MIIEpAIBAA",
        "curl -u ",
        'SecretString": "',
    ],
)
def test_long_text_takes_no_longer_than_its_length(piece: str) -> None:
    """No text makes a pattern run away: 100,000 characters of anything take less than a second or two."""
    text = "token password secret key " + piece * (100_000 // len(piece))
    began = time.process_time()

    redact(text)

    assert time.process_time() - began < 2.0
