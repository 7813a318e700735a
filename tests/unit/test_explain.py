"""Explaining error texts: every known one is found, wrapped or not; an unknown one is not guessed at."""

from __future__ import annotations

import json
import textwrap

import pytest
from click.testing import CliRunner
from hypothesis import given, settings
from hypothesis import strategies as st

from islanding.cli.explain import explain_command
from islanding.diagnosis.catalogue import CATALOGUE
from islanding.diagnosis.explaining import explain_text
from islanding.outcomes import OUTCOMES

ECR = "123456789012.dkr.ecr.ap-northeast-1.amazonaws.com"
LAYERS = "prod-ap-northeast-1-starport-layer-bucket.s3.ap-northeast-1.amazonaws.com"
EXAMPLES = [(entry.name, text.example) for entry in CATALOGUE for text in entry.all_texts()]

TOKEN = (
    "operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, https response error "
    "StatusCode: 0,"
    ' RequestID: , request send failed, Post "https://api.ecr.ap-northeast-1.amazonaws.com/": dial tcp {}:443: i/o '
    "timeout"
)
MANIFEST = (
    f'failed to resolve image: failed to do request: Head "https://{ECR}/v2/app/manifests/v1": '
    "dial tcp {}:443: i/o timeout"
)
LAYER = (
    'failed to copy: httpReadSeeker: failed open: failed to do request: Get "https://'
    f'{LAYERS}/4f/1?X-Amz-Signature=0123456789abcdef0123": dial tcp 52.219.0.10:443: i/o timeout'
)
FORBIDDEN = (
    f"unexpected status from GET request to https://{LAYERS}/4f/1?X-Amz-Signature=0123456789abcdef: 403 Forbidden"
)
EC2 = "Failed to call ec2:DescribeNetworkInterfaces for [eni-0abc]: operation error EC2: context deadline exceeded"
LOOKUP = f'Head "https://{ECR}/v2/app/manifests/v1": dial tcp: lookup {ECR} on 10.0.0.2:53: read udp: i/o timeout'

# What is broken | the text that a user sees | the first candidate | words of its first causes
C_09 = [
    ("ecr.api removed", TOKEN.format("52.94.0.10"), "PULL_TOKEN_TIMEOUT", ("ecr.api is missing",)),
    ("ecr.dkr removed", MANIFEST.format("52.94.0.10"), "PULL_MANIFEST_TIMEOUT", ("ecr.dkr is missing", "private DNS")),
    ("S3 gateway removed", LAYER, "PULL_LAYER_TIMEOUT", ("s3 is missing", "not associated")),
    ("S3 table not associated", LAYER, "PULL_LAYER_TIMEOUT", ("s3 is missing", "not associated")),
    ("S3 policy", FORBIDDEN, "PULL_LAYER_FORBIDDEN", ("policy does not allow s3:GetObject",)),
    ("private DNS off", MANIFEST.format("52.94.0.10"), "PULL_MANIFEST_TIMEOUT", ("ecr.dkr is missing", "private DNS")),
    ("group without 443", MANIFEST.format("10.0.2.31"), "PULL_MANIFEST_TIMEOUT", ("security group", "network ACL")),
    ("network ACL closed", MANIFEST.format("10.0.2.31"), "PULL_MANIFEST_TIMEOUT", ("security group", "network ACL")),
    ("ec2 removed", EC2, "EC2_API_TIMEOUT", ("ec2 is missing",)),
    ("DNS support off", LOOKUP, "NAME_NOT_RESOLVED", ("enableDnsSupport",)),
]


@pytest.mark.parametrize(("broken", "text", "name", "causes"), C_09, ids=[row[0] for row in C_09])
def test_each_way_to_break_a_pull_is_explained(broken: str, text: str, name: str, causes: tuple[str, ...]) -> None:
    """The first candidate is the step that failed, and its first causes are those that the address speaks for."""
    first = explain_text(text)[0]

    assert name == first.entry.name
    assert [] == [word for word, cause in zip(causes, first.causes, strict=False) if word not in cause.missing]


@pytest.mark.parametrize(("name", "text"), EXAMPLES)
def test_every_example_is_known(name: str, text: str) -> None:
    """An entry is found by each of its own examples."""
    assert name in [one.entry.name for one in explain_text(text)]


@pytest.mark.parametrize("width", [40, 80, 132])
@pytest.mark.parametrize("text", [MANIFEST.format("10.0.2.31"), LAYER, TOKEN.format("52.94.0.10")])
def test_wrapped_lines_and_colours_do_not_matter(text: str, width: int) -> None:
    """A terminal cuts lines in the middle of words, mail programs at spaces; both are seen through."""
    name = explain_text(text)[0].entry.name
    cut = "\n".join(text[at : at + width] for at in range(0, len(text), width))
    folded = "\n> ".join(textwrap.wrap(text, width, break_long_words=False))
    coloured = f"\x1b[31mNov 21 01:52:55 w1 kubelet[42]: \x1b[0m{text}\x1b[K\r\n"

    assert [name] * 3 == [explain_text(one)[0].entry.name for one in (cut, folded, coloured)]


def test_the_real_cause_comes_before_what_it_leads_to() -> None:
    """kubelet's plugin fails, then the pull without a token does, then kubelet backs off: the plugin is told first."""
    text = f'{TOKEN.format("52.94.0.10")}\nauthorization failed: no basic auth credentials\nBack-off pulling image "x"'
    names = [one.entry.name for one in explain_text(text)]

    assert "PULL_TOKEN_TIMEOUT" == names[0]
    assert "PULL_BACKING_OFF" == names[-1]


def test_checks_name_the_region_and_host_of_the_text() -> None:
    """What to type can be copied: Region and host stand in it."""
    checks = "\n".join(explain_text(MANIFEST.format("10.0.2.31"))[0].checks)

    assert f"getent ahostsv4 {ECR}" in checks
    assert "com.amazonaws.ap-northeast-1.ecr.dkr" in checks
    assert "REGION" not in checks


@pytest.mark.parametrize(
    "text", ["flux capacitor out of phase", "", "  \n", "connection", "error", "timeout", "OK", "{}"]
)
def test_an_unknown_text_is_not_guessed_at(text: str) -> None:
    """Nothing is invented for a text that the catalogue does not know."""
    assert () == explain_text(text)


def test_signatures_are_taken_out() -> None:
    """A presigned address is shown without its signature."""
    shown = CliRunner().invoke(explain_command, [FORBIDDEN])

    assert "0123456789abcdef" not in shown.output
    assert "[redacted]" in shown.output


def test_a_signature_that_is_cut_by_a_line_end_is_not_shown() -> None:
    """The second half of a signature stands on a line of its own, and is taken out as well."""
    half = "0123456789abcdef" * 3
    text = f"unexpected status from GET request to https://{LAYERS}/4f?X-Amz-Signature=\n{half}: 403 Forbidden"
    shown = CliRunner().invoke(explain_command, ["--json", text], standalone_mode=False)

    assert 0 == shown.return_value
    assert half not in shown.output


def test_the_command_explains_from_a_pipe_as_json() -> None:
    """Standard input is read when no text is given; the JSON has causes, checks and source."""
    told = CliRunner().invoke(explain_command, ["--json"], input=LAYER, standalone_mode=False)
    first = json.loads(told.output)["candidates"][0]

    assert 0 == told.return_value
    assert "PULL_LAYER_TIMEOUT" == first["name"]
    assert all(first[key] for key in ("causes", "checks", "source", "component", "matched"))


def test_of_a_long_log_the_end_is_read() -> None:
    """What failed last stands at the end; the user is told that the rest was not read."""
    told = CliRunner().invoke(explain_command, ["--json"], input="x\n" * 20000 + LAYER, standalone_mode=False)

    assert 0 == told.return_value
    assert "Only the last 20000 of" in told.stderr


def test_the_command_says_so_for_an_unknown_text() -> None:
    """The exit code is 1, and the user is told what would help."""
    told = CliRunner().invoke(explain_command, ["flux", "capacitor"], standalone_mode=False)

    assert 1 == told.return_value
    assert "not in the catalogue" in told.output


def test_every_entry_can_be_used() -> None:
    """Meaning, causes, checks, component and source are never empty; outcomes exist; names are unique."""
    names = [entry.name for entry in CATALOGUE]

    assert len(set(names)) == len(names)
    for entry in CATALOGUE:
        assert entry.causes
        assert entry.checks
        assert entry.all_texts()
        assert entry.meaning.endswith(".")
        assert set(entry.outcomes) <= set(OUTCOMES)
        assert all(text.component and text.source and text.example for text in entry.all_texts())
        assert all(cause.missing and cause.tell for cause in entry.causes)


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=400))
def test_any_text_is_read(text: str) -> None:
    """Whatever is pasted, explaining it does not fail."""
    assert isinstance(explain_text(text), tuple)
