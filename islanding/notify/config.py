"""What a notify.yaml may say: whom to tell, when, and where the secrets are; no secret stands in the file itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import Field, ValidationError

from islanding import yamldoc
from islanding.confmodel import Conf, pattern
from islanding.errors import SetupError
from islanding.yamldoc import Document, Mistake

When = Literal["change", "failure", "always"]
Address = Annotated[str, pattern(r"[^@\s<>]+@[^@\s<>]+", "a mail address such as ops@example.com")]
Topic = Annotated[
    str, pattern(r"arn:aws[-a-z]*:sns:[a-z]{2}(-[a-z]+)+-\d:\d{12}:[-\w]{1,256}(\.fifo)?", "the ARN of an SNS topic")
]


class SecretFrom(Conf):
    """Where a secret is: in a file, or in a variable of the environment."""

    file: str = ""
    env: str = ""

    def read(self) -> str:
        """The secret, without the newline at its end; raises SetupError, which names where it was looked for."""
        if self.env:
            value = os.environ.get(self.env, "")
            if not value:
                raise SetupError(f"the environment has no {self.env}, which notify.yaml names")
            return value
        try:
            value = Path(self.file).expanduser().read_text(encoding="utf-8").rstrip("\r\n")
        except (OSError, UnicodeDecodeError) as error:
            raise SetupError(f"cannot read the secret in {self.file}: {type(error).__name__}") from None
        if not value:
            raise SetupError(f"there is no secret in {self.file}")
        return value


class Webhook(Conf):
    """An HTTP endpoint; the whole URL may be a secret itself, as those of chat services are."""

    url: str = ""
    url_from: SecretFrom | None = None
    secret: SecretFrom | None = None  # signs what is sent
    headers: dict[str, str] = Field(default_factory=dict)

    def address(self) -> str:
        """The URL; raises SetupError."""
        return self.url_from.read() if self.url_from else self.url


class Mail(Conf):
    """A mail server and who gets the mail."""

    host: Annotated[str, Field(min_length=1)]
    port: Annotated[int, Field(ge=1, le=65535)] = 587
    security: Literal["starttls", "tls", "none"] = "starttls"
    ca_file: str = ""  # of a server whose certificate is of a private authority
    user: str = ""
    password: SecretFrom | None = None
    sender: Annotated[Address, Field(alias="from")]
    to: Annotated[tuple[Address, ...], Field(min_length=1, strict=False)]


class Sns(Conf):
    """A topic of SNS."""

    topic: Topic
    profile: str = ""


class Notify(Conf):
    """Whom to tell, and when: at a `change` of verdict, at each `failure` (whatever is no pass), or `always`."""

    when: When = "change"
    tries: Annotated[int, Field(ge=1, le=10)] = 4
    timeout: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 10.0  # seconds for each try
    backoff: Annotated[float, Field(gt=0, le=60, allow_inf_nan=False)] = 1.0  # seconds before the 2nd, doubled after
    webhooks: Annotated[tuple[Webhook, ...], Field(strict=False)] = ()
    mail: Annotated[tuple[Mail, ...], Field(strict=False)] = ()
    sns: Annotated[tuple[Sns, ...], Field(strict=False)] = ()


def load(path: Path) -> Notify:
    """Read a notify.yaml; raises SetupError that names every mistake with file, line and what is allowed."""
    return check(yamldoc.read(path))


def check(document: Document) -> Notify:
    """What a document says; raises SetupError that names every mistake."""
    found, conf = [*document.mistakes], None
    try:
        conf = Notify.model_validate(document.data)
    except ValidationError as error:
        found += yamldoc.explain(error, document, Notify)
    found += _together(document)
    if found or conf is None:
        raise document.reject(found)
    return conf


def _together(document: Document) -> list[Mistake]:
    """Mistakes that concern several values."""
    found = list[Mistake]()
    if isinstance(document.data, dict) and not any(document.at(key) for key in ("webhooks", "mail", "sns")):
        found.append(Mistake(1, "", "tells nobody; there are: webhooks, mail, sns"))
    for n, hook in enumerate(_listed(document, "webhooks")):
        loc = ("webhooks", n)
        if bool(hook.get("url")) == bool(hook.get("url_from")):
            found.append(document.mistake(loc, "has either a url or a url_from"))
        if hook.get("url") and urlsplit(str(hook["url"])).scheme not in ("http", "https"):
            found.append(document.mistake((*loc, "url"), "is no URL of http or https"))
        for key in ("url_from", "secret"):
            found += _secret(document, (*loc, key), hook.get(key))
    for n, mail in enumerate(_listed(document, "mail")):
        loc = ("mail", n)
        found += _secret(document, (*loc, "password"), mail.get("password"))
        if bool(mail.get("user")) != bool(mail.get("password")):
            found.append(document.mistake(loc, "has user and password together, or neither"))
        if mail.get("password") and mail.get("security") == "none":
            found.append(document.mistake((*loc, "security"), "a password is not sent without encryption"))
    return found


def _listed(document: Document, key: str) -> list[dict[str, object]]:
    given = document.at(key)
    return [one if isinstance(one, dict) else {} for one in given] if isinstance(given, list) else []


def _secret(document: Document, loc: tuple[str | int, ...], given: object) -> list[Mistake]:
    if isinstance(given, dict) and bool(given.get("file")) == bool(given.get("env")):
        return [document.mistake(loc, "says where the secret is: either a file or env")]
    return []
