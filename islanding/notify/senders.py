"""One try at telling somebody: by a signed webhook, by mail, by SNS; what may pass on another try says so."""

from __future__ import annotations

import hashlib
import hmac
import json
import smtplib
import ssl
import time
from dataclasses import dataclass
from email.message import EmailMessage
from email.utils import format_datetime, localtime, make_msgid
from typing import Any, Protocol
from urllib.parse import urlsplit

from islanding.notify.config import Mail, Sns, Webhook
from islanding.notify.message import subject, text

TIMESTAMP, SIGNATURE = "X-Islanding-Timestamp", "X-Islanding-Signature"


class Refused(Exception):
    """Another try would end the same way."""


class Failed(Exception):
    """Another try may get through."""


class Sender(Protocol):
    """A way to tell somebody."""

    @property
    def name(self) -> str:
        """What it is called in messages; no secret is in it."""

    def send(self, told: dict[str, Any], timeout: float) -> None:
        """One try, each step within `timeout` seconds; raises Refused or Failed, SetupError for a lacking secret."""


def signature(secret: str, timestamp: str, body: bytes) -> str:
    """What a receiver compares: HMAC-SHA256 (RFC 2104) over the time of sending, a full stop and the body, in hex."""
    return "sha256=" + hmac.new(secret.encode(), timestamp.encode() + b"." + body, hashlib.sha256).hexdigest()


@dataclass(frozen=True)
class WebhookSender:
    """POSTs the message as JSON; a receiver knows by its signature that it is ours, and by its time that it is new."""

    conf: Webhook

    @property
    def name(self) -> str:
        return f"webhook {urlsplit(self.conf.url).hostname or '(its URL is a secret)'}"

    def send(self, told: dict[str, Any], timeout: float) -> None:
        import requests

        url, body = self.conf.address(), json.dumps(told, sort_keys=True).encode()
        now = str(int(time.time()))
        headers = {"User-Agent": "islanding", **self.conf.headers, "Content-Type": "application/json", TIMESTAMP: now}
        if self.conf.secret:
            headers[SIGNATURE] = signature(self.conf.secret.read(), now, body)
        try:
            # A redirect would carry the message, and its signature, to somebody who was not named.
            answer = requests.post(url, data=body, headers=headers, timeout=timeout, allow_redirects=False, stream=True)
        except (requests.ConnectionError, requests.Timeout) as error:
            raise Failed(type(error).__name__) from None  # their own words hold the URL
        except (requests.RequestException, ValueError) as error:
            raise Refused(type(error).__name__) from None
        with answer:
            if answer.status_code >= 500 or answer.status_code in (408, 425, 429):
                raise Failed(f"HTTP {answer.status_code}")
            if not 200 <= answer.status_code < 300:
                raise Refused(f"HTTP {answer.status_code}")


@dataclass(frozen=True)
class MailSender:
    """Hands a plain-text mail to a server."""

    conf: Mail

    @property
    def name(self) -> str:
        return f"mail by {self.conf.host}"

    def send(self, told: dict[str, Any], timeout: float) -> None:
        conf = self.conf
        password = conf.password.read() if conf.password else ""
        mail = EmailMessage()
        mail["Subject"], mail["From"], mail["To"] = subject(told), conf.sender, ", ".join(conf.to)
        mail["Date"], mail["Message-ID"] = format_datetime(localtime()), make_msgid(domain="islanding.invalid")
        mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: nobody's holiday answers it
        mail.set_content(text(told))
        try:
            # verified, also against a private authority
            context = ssl.create_default_context(cafile=conf.ca_file or None)
            with self._connected(context, timeout) as server:
                if conf.security == "starttls":
                    server.starttls(context=context)
                if conf.user:
                    server.login(conf.user, password)
                server.send_message(mail)
        except smtplib.SMTPAuthenticationError as error:
            raise Refused(f"the server refuses {conf.user} ({error.smtp_code})") from None
        except smtplib.SMTPRecipientsRefused as error:
            codes = sorted({code for code, _ in error.recipients.values()})
            raise (Failed if min(codes) < 500 else Refused)(f"recipients refused ({codes})") from None
        except smtplib.SMTPResponseException as error:
            kind = Failed if 400 <= error.smtp_code < 500 else Refused
            raise kind(f"the server says {error.smtp_code}") from None
        except ssl.SSLError as error:
            raise Refused(f"TLS: {error.reason or 'failed'}: {getattr(error, 'verify_message', '')}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise Refused(str(error)) from None
        except (smtplib.SMTPException, OSError) as error:
            raise Failed(type(error).__name__) from None

    def _connected(self, context: ssl.SSLContext, timeout: float) -> smtplib.SMTP:
        if self.conf.security == "tls":
            return smtplib.SMTP_SSL(self.conf.host, self.conf.port, timeout=timeout, context=context)
        return smtplib.SMTP(self.conf.host, self.conf.port, timeout=timeout)


@dataclass(frozen=True)
class SnsSender:
    """Publishes to a topic: the text for people, and the message as JSON for queues and functions."""

    conf: Sns

    @property
    def name(self) -> str:
        return f"SNS topic {self.conf.topic.rsplit(':', 1)[-1]}"

    def send(self, told: dict[str, Any], timeout: float) -> None:
        import boto3
        import botocore.exceptions
        from botocore.config import Config

        region = self.conf.topic.split(":")[3]
        once = Config(connect_timeout=timeout, read_timeout=timeout, retries={"total_max_attempts": 1})
        as_json = json.dumps(told, sort_keys=True)
        # SNS API, Publish: with MessageStructure `json` each protocol gets its own text, `default` all others.
        bodies = {"default": as_json, "email": text(told), "email-json": as_json}
        given: dict[str, Any] = {
            "TopicArn": self.conf.topic,
            "Subject": subject(told).encode("ascii", "replace").decode()[:99],
            "MessageStructure": "json",
            "Message": json.dumps(bodies),
            "MessageAttributes": {"verdict": {"DataType": "String", "StringValue": told["verdict"]}},
        }
        if self.conf.topic.endswith(".fifo"):
            digest = hashlib.sha256(as_json.encode()).hexdigest()
            given |= {"MessageGroupId": "islanding", "MessageDeduplicationId": digest}
        try:
            session = boto3.Session(profile_name=self.conf.profile or None)
            made: Any = session.client("sns", region_name=region, config=once)
            made.publish(**given)
        except botocore.exceptions.ClientError as error:
            said = error.response.get("Error", {}).get("Code", "")
            status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            raise (Failed if status >= 500 or "Throttl" in said else Refused)(f"AWS says {said}") from None
        except (botocore.exceptions.ConnectionError, botocore.exceptions.HTTPClientError) as error:
            raise Failed(type(error).__name__) from None
        except botocore.exceptions.BotoCoreError as error:
            raise Refused(str(error)) from None
