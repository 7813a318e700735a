"""Telling how a run ended: to real servers on this machine, in good and bad weather, and never with a secret."""

from __future__ import annotations

import asyncio
import base64
import json
import ssl
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from email import message_from_bytes, policy
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import boto3
import pytest
from click.testing import CliRunner
from moto import mock_aws

from islanding import yamldoc
from islanding.cli.notify import notify_command, tell_of
from islanding.errors import SetupError
from islanding.evidence.results import load_result
from islanding.journal import Journal, read
from islanding.lab.pki import Authority
from islanding.notify import config, message, sending
from islanding.notify.message import Earlier
from islanding.notify.senders import SIGNATURE, TIMESTAMP, signature
from islanding.schedule import turns
from islanding.schedule.turns import Turn

SECRET = "correct-horse-battery-staple"
PASSED = Earlier("/runs/before", "2026-11-20T02:17:00+00:00", "pass")


def conf(text: str) -> config.Notify:
    """The configuration that a text describes."""
    return config.check(yamldoc.parse(text, Path("notify.yaml")))


def pauses() -> tuple[list[float], sending.Pause]:
    """Where pauses are noted and not made."""
    made: list[float] = []
    return made, made.append


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The folder of a run in which a case failed, with a secret in its reason."""
    folder = tmp_path / "runs" / "2026-11-21T02-17-00Z-1"
    folder.mkdir(parents=True)
    journal = Journal(folder / "journal.jsonl")
    journal.append("run-started", run=folder.name, target="aws", sites=["closed-vpc"], revision="abc")
    journal.append("site-ready", site="closed-vpc", seconds=1.0, topology={}, facts={"adopted_as": "mine"})
    case = {"site": "closed-vpc", "case": "test_x"}
    journal.append("case-started", **case, title="x", requirements=["C-02"])
    reason = "said: Authorization: Bearer abcdefghijklmnopqrstuvwx\x1b[31m\nand more"
    journal.append("case-finished", **case, verdict="fail", reason=reason, seconds=1.0, detail="")
    journal.append("run-finished", exit_code=1)
    journal.close()
    return folder


@pytest.fixture
def told(run: Path) -> dict[str, Any]:
    """What is told of that run, when the one before had passed."""
    return message.message(load_result(run), ("mine",), PASSED, 1)


# -- what is told, and when --------------------------------------------------------------------------------------------


def test_the_message_says_what_did_not_pass(told: dict[str, Any]) -> None:
    """Verdict, change, the run before, each case that did not pass; no token, no control character."""
    assert ("fail", True, "pass") == (told["verdict"], told["changed"], told["previous"]["verdict"])
    assert [("closed-vpc", "test_x", ["C-02"])] == [
        (one["site"], one["case"], one["requirements"]) for one in told["not_passed"]
    ]
    words = json.dumps(told) + message.text(told) + message.subject(told)
    assert "abcdefghijklmnop" not in words
    assert "\x1b" not in message.text(told)
    assert "islanding: fail at mine, was pass" == message.subject(told)


@pytest.mark.parametrize(
    ("when", "verdict", "earlier", "expected"),
    [
        ("change", "pass", PASSED, False),
        ("change", "fail", PASSED, True),
        ("change", "inconclusive", PASSED, True),
        ("change", "pass", None, True),
        ("failure", "fail", Earlier("x", "", "fail"), True),
        ("failure", "pass", Earlier("x", "", "fail"), False),
        ("always", "pass", PASSED, True),
    ],
)
def test_when_it_is_told(when: config.When, verdict: str, earlier: Earlier | None, expected: bool) -> None:
    """At a change, at each failure, or always; the first run of its sites is a change."""
    assert expected == message.is_told(when, verdict, earlier)


# -- the file ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "word"),
    [
        ("when: change\n", "tells nobody"),
        ("webhooks: [{url: 'ftp://x'}]\n", "http"),
        ("webhooks: [{secret: {env: S}}]\n", "either a url or a url_from"),
        ("webhooks: [{url: 'http://x', secret: {env: S, file: f}}]\n", "either a file or env"),
        ("webhooks: [{url: 'http://x', secret: abc}]\n", "secret"),
        ("mail: [{host: m, from: a@b, to: []}]\n", "to"),
        ("mail: [{host: m, from: nobody, to: [a@b]}]\n", "mail address"),
        ("mail: [{host: m, from: a@b, to: [c@d], user: u}]\n", "together"),
        ("mail: [{host: m, from: a@b, to: [c@d], user: u, password: {env: P}, security: none}]\n", "encryption"),
        ("sns: [{topic: my-topic}]\n", "ARN"),
        ("sns: [{topik: x}]\n", "did you mean"),
        ("tries: 99\nsns: [{topic: 'arn:aws:sns:eu-west-1:123456789012:t'}]\n", "tries"),
    ],
)
def test_mistakes_are_named(text: str, word: str) -> None:
    """Each mistake is told with its line."""
    with pytest.raises(SetupError, match=word):
        conf(text)


def test_secrets_come_from_file_or_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The newline at a file's end is none of the secret; what is lacking is named by its place alone."""
    (tmp_path / "s").write_text(SECRET + "\n")
    monkeypatch.setenv("HOOK", SECRET)

    assert SECRET == config.SecretFrom(file=str(tmp_path / "s")).read() == config.SecretFrom(env="HOOK").read()
    for lacking in (config.SecretFrom(file=str(tmp_path / "gone")), config.SecretFrom(env="GONE")):
        with pytest.raises(SetupError, match=r"(?i)gone"):
            lacking.read()


# -- webhooks ----------------------------------------------------------------------------------------------------------


@dataclass
class Hook:
    """A server that answers with `codes` in turn, the last one for ever, and keeps what it was sent."""

    codes: list[int]
    seen: list[tuple[dict[str, str], bytes]] = field(default_factory=list)
    url: str = ""

    def text(self, more: str = "") -> str:
        """A configuration that tells this server."""
        return f"tries: 3\nbackoff: 0.5\ntimeout: 5\nwebhooks:\n  - url: {self.url}\n{more}"


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A webhook's server."""
    kept = Hook([200])

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:  # http.server's name
            body = self.rfile.read(int(self.headers["Content-Length"]))
            kept.seen.append((dict(self.headers), body))
            code = kept.codes.pop(0) if len(kept.codes) > 1 else kept.codes[0]
            self.send_response(code)
            if 300 <= code < 400:
                self.send_header("Location", kept.url + "/elsewhere")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Silent."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        kept.url = f"http://127.0.0.1:{server.server_address[1]}/hook/{SECRET}"
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        yield kept
        server.shutdown()
        thread.join()


def test_a_webhook_gets_a_signed_message(hook: Hook, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """The receiver finds the message whole, and a signature that only the secret's owner can make."""
    monkeypatch.setenv("HOOK", SECRET)

    done = sending.tell(conf(hook.text("    secret: {env: HOOK}\n")), told)

    headers, body = hook.seen[0]
    assert [""] == [one.trouble for one in done]
    assert told == json.loads(body)
    assert headers[SIGNATURE] == signature(SECRET, headers[TIMESTAMP], body)
    assert headers[SIGNATURE] != signature(SECRET, headers[TIMESTAMP], body + b" ")
    assert headers[SIGNATURE] != signature(SECRET, str(int(headers[TIMESTAMP]) + 1), body)


@pytest.mark.parametrize(
    ("codes", "tries", "trouble"),
    [([503, 429, 200], 3, ""), ([500], 3, "HTTP 500"), ([404], 1, "HTTP 404"), ([307], 1, "HTTP 307")],
)
def test_tries_are_bounded(hook: Hook, told: dict[str, Any], codes: list[int], tries: int, trouble: str) -> None:
    """What may pass is tried again, ever later; what is refused is not, and nothing follows a redirect."""
    hook.codes[:] = codes
    made, pause = pauses()

    (done,) = sending.tell(conf(hook.text()), told, pause)

    assert (tries, tries) == (done.tries, len(hook.seen))
    assert [0.5, 1.0][: tries - 1] == made
    assert trouble in done.trouble
    assert bool(trouble) == bool(done.trouble)


def test_nothing_told_of_trouble_holds_a_secret(
    hook: Hook, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A URL that is a secret itself is not in what is said, whether the server refuses or is not there."""
    monkeypatch.setenv("URL", hook.url)
    hook.codes[:] = [403]
    closed = f"http://127.0.0.1:9/{SECRET}"
    by_env = "tries: 1\nwebhooks: [{url_from: {env: URL}}, {url: '" + closed + "'}]\n"
    said = [str(one) for one in sending.tell(conf(by_env), told, lambda _: None)]
    monkeypatch.setenv("URL", f"no-scheme/{SECRET}")
    said += [str(one) for one in sending.tell(conf(by_env), told, lambda _: None)]

    assert 4 == len(said)
    assert all("(1 try)" in one and SECRET not in one for one in said), said
    assert "HTTP 403" in said[0]


# -- mail --------------------------------------------------------------------------------------------------------------


@dataclass
class Post:
    """A mail server with STARTTLS and AUTH PLAIN, and what it was handed."""

    ca: Path
    context: ssl.SSLContext
    answers: dict[str, bytes] = field(default_factory=dict)  # a verb's answer in place of the usual one
    mails: list[bytes] = field(default_factory=list)
    logins: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    def text(self, more: str = "") -> str:
        """A configuration that tells this server."""
        return (
            f"tries: 2\nbackoff: 0.5\ntimeout: 5\nmail:\n  - host: localhost\n    port: {self.port}\n"
            f"    ca_file: {self.ca}\n    from: harness@example.com\n    to: [ops@example.com, sec@example.com]\n{more}"
        )

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One session of SMTP (RFC 5321), with the extensions of RFC 3207 and RFC 4954."""
        secure = False
        writer.write(b"220 post\r\n")
        while line := await reader.readline():
            verb = line.split()[0].upper().decode()
            if verb in self.answers:
                writer.write(self.answers[verb])
            elif verb == "EHLO":
                writer.write(b"250-post\r\n250 AUTH PLAIN\r\n" if secure else b"250-post\r\n250 STARTTLS\r\n")
            elif verb == "STARTTLS":
                writer.write(b"220 go on\r\n")
                await writer.drain()
                await writer.start_tls(self.context)
                secure = True
            elif verb == "AUTH":
                self.logins.append(base64.b64decode(line.split()[2]).decode())
                writer.write(b"235 welcome\r\n")
            elif verb == "DATA":
                writer.write(b"354 go on\r\n")
                data = await reader.readuntil(b"\r\n.\r\n")
                self.mails.append(data)
                self.encrypted.append(secure)
                writer.write(b"250 kept\r\n")
            elif verb == "QUIT":
                writer.write(b"221 bye\r\n")
                break
            else:
                writer.write(b"250 well\r\n")
            await writer.drain()
        writer.close()


@pytest.fixture(scope="module")
def authority() -> Authority:
    """A private authority."""
    return Authority.create("mail CA")


@pytest.fixture
def post(tmp_path: Path, authority: Authority) -> Iterator[Post]:
    """A mail server."""
    leaf = authority.issue("localhost", dns=["localhost"], ips=["127.0.0.1"])
    for name, data in (("ca.pem", authority.certificate_pem), ("c.pem", leaf.certificate_pem), ("k.pem", leaf.key_pem)):
        (tmp_path / name).write_bytes(data)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "c.pem", tmp_path / "k.pem")
    kept = Post(tmp_path / "ca.pem", context)
    loop = asyncio.new_event_loop()

    async def begin() -> asyncio.Server:
        return await asyncio.start_server(kept.serve, "127.0.0.1", 0)

    server = loop.run_until_complete(begin())
    kept.port = server.sockets[0].getsockname()[1]
    thread = threading.Thread(target=loop.run_forever)
    thread.start()
    yield kept
    loop.call_soon_threadsafe(server.close)
    loop.call_soon_threadsafe(loop.stop)
    thread.join()
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(loop.shutdown_asyncgens())
    loop.close()


def test_a_mail_arrives_by_tls(post: Post, told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Encrypted, with a login, to everybody, saying what did not pass."""
    monkeypatch.setenv("PASSWORD", SECRET)

    (done,) = sending.tell(conf(post.text("    user: me\n    password: {env: PASSWORD}\n")), told)

    mail = message_from_bytes(post.mails[0], policy=policy.default)
    assert "" == done.trouble
    assert ([True], [f"\0me\0{SECRET}"]) == (post.encrypted, post.logins)
    assert ("islanding: fail at mine, was pass", "ops@example.com, sec@example.com") == (mail["Subject"], mail["To"])
    assert "test_x: fail" in str(mail.get_content())


@pytest.mark.parametrize(
    ("answers", "tries", "word"),
    [
        ({"AUTH": b"535 no\r\n"}, 1, "refuses me"),
        ({"MAIL": b"451 later\r\n"}, 2, "451"),
        ({"RCPT": b"550 nobody\r\n"}, 1, "recipients refused"),
        ({"EHLO": b"250 post\r\n"}, 1, "STARTTLS"),
    ],
)
def test_what_the_server_says_is_told(
    post: Post,
    told: dict[str, Any],
    monkeypatch: pytest.MonkeyPatch,
    answers: dict[str, bytes],
    tries: int,
    word: str,
) -> None:
    """Refused for good, or tried again; without encryption no password is sent."""
    monkeypatch.setenv("PASSWORD", SECRET)
    post.answers = answers

    (done,) = sending.tell(conf(post.text("    user: me\n    password: {env: PASSWORD}\n")), told, lambda _: None)

    assert (tries, []) == (done.tries, post.mails)
    assert word in done.trouble
    assert SECRET not in str(done)


def test_a_certificate_of_nobody_known_is_refused(post: Post, told: dict[str, Any]) -> None:
    """Without the private authority's file the server is not trusted, and gets nothing."""
    (done,) = sending.tell(conf(post.text().replace(f"    ca_file: {post.ca}\n", "")), told, lambda _: None)

    assert [] == post.mails
    assert "TLS" in done.trouble


# -- SNS ---------------------------------------------------------------------------------------------------------------


@mock_aws
def test_a_topic_hands_the_message_on(told: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """A queue behind the topic has the message as JSON; a topic that is not there is said."""
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "testing")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "testing")
    sns: Any = boto3.client("sns", region_name="eu-west-1")
    sqs: Any = boto3.client("sqs", region_name="eu-west-1")
    topic = sns.create_topic(Name="verdicts")["TopicArn"]
    queue = sqs.create_queue(QueueName="q")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=queue, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=arn)

    done, refused = sending.tell(conf(f"sns: [{{topic: '{topic}'}}, {{topic: '{topic}-gone'}}]\n"), told)

    got = json.loads(json.loads(sqs.receive_message(QueueUrl=queue)["Messages"][0]["Body"])["Message"])
    assert told == got
    assert ("", 1) == (done.trouble, done.tries)
    assert "NotFound" in refused.trouble


# -- of a run ----------------------------------------------------------------------------------------------------------


def test_the_command_tells_at_a_change_only(hook: Hook, run: Path, tmp_path: Path) -> None:
    """`islanding notify RUN` keeps silent when the run before failed as well, and tells when it had passed."""
    (tmp_path / "notify.yaml").write_text(hook.text())
    before = Turn("/runs/before", ("mine",), "aws", "2020-01-01T00:00:00+00:00", "x", "fail", 1)
    arguments = [str(run), "--config", str(tmp_path / "notify.yaml")]
    turns.note(before)
    silent = CliRunner().invoke(notify_command, arguments, standalone_mode=False)
    turns.note(Turn("/runs/then", ("mine",), "aws", "2020-01-02T00:00:00+00:00", "x", "pass", 0))
    telling = CliRunner().invoke(notify_command, arguments, standalone_mode=False)

    assert ("nobody is told" in silent.output, 1) == (True, len(hook.seen))
    assert (0, "127.0.0.1: told" in telling.output) == (telling.return_value, True)
    assert "/runs/then" == json.loads(hook.seen[0][1])["previous"]["run"]


def test_a_failure_to_tell_is_a_warning_and_no_more(
    hook: Hook, run: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The run goes on, its journal says who was not told, and stderr as well."""
    hook.codes[:] = [404]
    journal = Journal(run / "journal.jsonl")

    tell_of(conf(hook.text()), load_result(run), ("mine",), 1, journal)
    monkeypatch.setattr("islanding.cli.notify.prepare", lambda *_: 1 / 0)
    tell_of(conf(hook.text()), load_result(run), ("mine",), 1, journal)

    warnings = [event["text"] for event in read(run / "journal.jsonl") if event.type == "warning"]
    assert ["HTTP 404", "ZeroDivisionError"] == [
        w for t in warnings for w in ("HTTP 404", "ZeroDivisionError") if w in t
    ]
    assert "HTTP 404" in capsys.readouterr().err
    assert 1 == load_result(run).exit_code
