"""Takes secrets out of texts before they are kept or shown: tokens, presigned signatures, private keys, passwords.

A text of evidence must stay readable word for word, so only the secret itself is replaced, by REDACTED, and what stood
around it (the name of the parameter, the kind of the token) stays. Access key ids stay too: AWS prints them in messages
and in CloudTrail, and they let nobody in. A rule's pattern is tried only where one of its words is in the text, which
keeps a sample's cost at a few microseconds; no pattern takes more than linear time, so that backslashes are counted.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any, NamedTuple
from urllib.parse import quote

REDACTED = "[redacted]"
_REMEMBERED = 4096  # texts up to this many characters, and so many of them: samples repeat theirs

# Between a name and its value: quotes (Python's, JSON's, escaped or percent-encoded), `:` or `=` or XML's `>`.
_QUOTE = r"(?:\\{0,15}[\"']|%(?:25)*22|&quot;|&#34;)?+"
_IS = rf"(?:{_QUOTE}[ \t]*(?:[:=]|%(?:25)*3[AD]|\\{{1,15}}u003d)[ \t]*(?:b(?=\\{{0,15}}[\"']))?+{_QUOTE}|>)"
# What says itself that it is none: a variable, <masked>, a format's %s, stars, null.
_MADE_UP = r"(?!\$|<|\*\*|%[sdv({]|(?:null|none|true|false)\b)"
# A word that ends where it does, or at an escaped end of line: texts are often JSON inside JSON.
_LETTER = r"(?:(?!\\{1,15}[nrt\"'])[^\s\"'\[])"
_BEGINS = r"((?<![A-Za-z0-9+/_-])|(?<=\\[nrt]))"
_VALUE = r"(?:(?!%(?:25)*(?:22|26)|\\{1,15}u0026|&)[^\s\"'<>,;\\{}()\[\]])"
_ENDS = r"(?=[\"']?[ \t]*(?:$|\\{1,15}[nr]))"
_PASSWORD = r"(?:passw(?:or)?d|passphrase)"
_NO_ERROR = r"(?![A-Za-z.]*(?:Exception|Error|Failure|Fault)\b)"
_NO_WORD = (
    r"(?!(?:required|missing|empty|unset|set|changed|expired|incorrect|correct|invalid|valid|wrong|rejected|accepted"
    rf"|denied|disabled|enabled|unknown|unchanged|optional|string|yes|n/a)[.!]?{_ENDS})"
)
# AWS calls those tokens that name a request or a page of an answer.
_NO_PAGE = r"(?<!request.token)(?<!requesttoken)(?<!nexttoken)(?<!clienttoken)(?<!next-token)(?<!client-token)"


class _Rule(NamedTuple):
    """A pattern whose first group stays and whose rest is the secret, with words (lower case) one of which it needs."""

    words: tuple[str, ...]
    pattern: re.Pattern[str]


def _rule(words: str, pattern: str, flags: re.RegexFlag = re.NOFLAG) -> _Rule:
    return _Rule(tuple(words.split()), re.compile(pattern, flags))


_I = re.IGNORECASE

_RULES = (
    # A Kubernetes bearer token of EKS is `k8s-aws-v1.` + the presigned URL in base64url without padding.
    _rule("k8s-aws-v1.", r"(k8s-aws-v1\.)[A-Za-z0-9_=%+/-]+"),
    # What a second person signed for a fault on a production site (islanding/guard/confirmation.py).
    _rule("islanding-conf", r"(islanding-confirmation-v1\.)[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)?"),
    # SigV4: query parameters of a presigned URL that let its holder act, and the header's Signature=; the credential's
    # scope and the expiry are no secrets. SigV2 and CloudFront have a bare Signature= in the query.
    _rule("x-amz-s", rf"((?:X-Amz-Signature|X-Amz-Security-Token){_IS})(?:(?!:){_VALUE})+", _I),
    _rule("signature", r"(\bSignature(?:=|%(?:25)*3D))(?:[0-9a-fA-F]{16,}|[A-Za-z0-9+/%_~=-]{20,})"),
    # Names that only ever hold a secret: AWS credentials, kubeconfigs, OAuth, ECR, the metadata service.
    _rule(
        "key token secret plaintext",
        r"((?:client-key-data|secret_?access_?key|session_?token|(?<!Get)authorizationToken|authorization_token"
        r"|identitytoken|metadata-token|(?:id|refresh|access|auth|vault|api|private)[_-]token|client[_-]?secret|secret[_-]?key"
        rf"|api[_-]?key|private[_-]?key|CiphertextForRecipient|Plaintext){_IS}){_MADE_UP}{_VALUE}{{8,}}",
        _I,
    ),
    _rule("secretstring", r"(SecretString\\{0,15}[\"'][ \t]*:[ \t]*\\{0,15}\")(?!\[)(?:[^\"\\\n]|\\.)+"),
    # Authorization headers, as curl -v, kubectl -v=9 and botocore print them.
    _rule(
        "authorization",
        rf"(\bAuthorization{_IS}(?:(?:Bearer|Basic|Token|Digest|Negotiate|ApiKey) +)?)(?!AWS4-|k8s-aws-v1\.)"
        r"[A-Za-z0-9._~+/=:-]{8,}(?![A-Za-z0-9 ])",
        _I,
    ),
    _rule(
        "bearer basic",
        r"(\b(?:Bearer|Basic|bearer) +)(?!k8s-aws-v1\.)(?=\S*(?:[0-9]|[a-z][A-Z])|\S{20})[A-Za-z0-9._~+/=-]{12,}",
    ),
    _rule("cookie", r"(\bSet-Cookie: *[^=;\s]{1,80}=)[^;\s\"'\[]+", _I),
    # A JSON Web Token (service accounts, OIDC): header and payload begin with the base64url of `{"`.
    _rule("eyj", rf"{_BEGINS}eyJ[A-Za-z0-9_-]{{6,}}\.eyJ[A-Za-z0-9_-]{{6,}}\.[A-Za-z0-9_-]*"),
    # What AWS hands out begins alike each time: ECR's passwords, plain and as `AWS:…`; STS's and the metadata
    # service's tokens.
    _rule("eyjwyxlsb2fkijoi qvdtomv5", rf"{_BEGINS}(?:eyJwYXlsb2FkIjoi|QVdTOmV5)[A-Za-z0-9+/=_-]{{8,}}"),
    _rule(
        "iqojb3jpz2lu fwogzxivyxdz aqodyxdz aqoexample aqaea",
        rf"{_BEGINS}(?:IQoJb3JpZ2lu|FwoGZXIvYXdz|AQoDYXdz|AQoEXAMPLE|AQAEA(?=[A-Za-z0-9_-]{{40}}))[A-Za-z0-9+/=%_-]{{16,}}",
    ),
    # A secret key in a row with its id, as tables and CSV files have them; a commit's hash is none.
    _rule(
        "akia asia",
        r"((?:AKIA|ASIA)[A-Z0-9]{12,16}\b[^\n]{0,80}?(?:[\s,:|\"']|\\[nrt]))(?![0-9a-f]{40}\b)[A-Za-z0-9/+]{40}(?![A-Za-z0-9/+=])",
    ),
    # Private keys without their first line's mark: in base64 (kubeconfigs, Secrets), and DER's first bytes.
    _rule("ls0tls1crudjtib", r"(\bLS0tLS1CRUdJTiB(?=QUklW|SU0Eg|FQyBQUklW|FTkNS|PUEVO|EU0Eg))[A-Za-z0-9+/=]{20,}"),
    _rule(
        "iba mhccaqee b3blbnnzac1r",
        rf"{_BEGINS}(?:MI[I-L][A-Za-z0-9+/]{{2}}[AQgw]IBA|MHcCAQEE|b3BlbnNzaC1rZXktdjE)[A-Za-z0-9+/=]{{20,}}",
    ),
    # Tokens of forges and chats, and the addresses that are secrets themselves.
    _rule(
        "gh github_pat_ glpat- xox npm_", r"((?:gh[pousr]_|github_pat_|glpat-|xox[abeoprs]-|npm_))[A-Za-z0-9_-]{16,}"
    ),
    _rule("hooks. webhook", r"(https://[\w.-]{1,80}/(?:services|api/webhooks|webhookb2|workflows)/)[\w/@.-]{16,}"),
    # Passwords: in addresses, command lines, netrc, the environment, JSON, YAML and queries.
    _rule(
        "://",
        r"(\b[A-Za-z][A-Za-z0-9+.-]{0,20}://[^\s/:\"'<>]{0,200}:)(?!\[redacted\])[^\s/\"'<>]{1,500}(?=@(?!sha256:))",
    ),
    _rule("password", r"(\blogin\s{1,8}\S{1,200}\s{1,8}password\s{1,8})(?!\[redacted\])(?:(?!\\[nrt])\S)+"),
    _rule("curl", r"(\s(?:-u|--user|-U|--proxy-user)[ =][\"']?[^\s:\"']{1,200}:)(?!\[redacted\])[^\s\"']+"),
    _rule("--", rf"(--[a-z-]{{0,30}}pass(?:word|phrase)?[= ]+{_QUOTE}){_MADE_UP}(?!-)[^\s\"'\[\\]+"),
    _rule("token", rf"(--[a-z-]{{0,30}}token[= ]+{_QUOTE}){_MADE_UP}(?=[^\s]*[0-9]|\S{{20}})[^\s\"'\[\\]{{8,}}"),
    _rule(
        "pass secret token key",
        r"((?:PASSWORD|PASSWD|PASSPHRASE|_PASS|SECRET|TOKEN|API_?KEY)(?:=|:[ \t]+)[\"']?)"
        rf"{_MADE_UP}(?!/[a-z][\w.-]*/){_LETTER}{{4,}}",
    ),
    _rule(
        "pass secret token key auth",
        r"(\\{0,15}[\"'][\w.-]{0,40}(?:passw(?:or)?d|passphrase|secret|token|auth)"
        + _NO_PAGE
        + r"\\{0,15}[\"'][ \t]*[:=][ \t]*b?(?P<q>\\{0,15}[\"']))"
        rf"{_MADE_UP}(?![a-z0-9-]+/[a-z0-9.-]+\\{{0,15}}[\"'])[^\s\"'\[\\]{{6,}}(?=(?P=q))",
        _I,
    ),
    # On a line of its own, as YAML, describe and tracebacks have it, a password is any word but what speaks of one.
    _rule(
        "pass",
        rf"((?:^|(?<=\\n))[ \tE>|-]{{0,80}}+[\w.-]{{0,40}}{_PASSWORD}[ \t]*[:=][ \t]*[\"']?)"
        rf"{_MADE_UP}{_NO_WORD}{_LETTER}{{4,}}{_ENDS}",
        _I | re.MULTILINE,
    ),
    # Behind other words it is often prose: a password has a digit or capitals inside there, a token a digit or length.
    _rule(
        "pass",
        rf"((?<=[\s>|])[\w.-]{{0,40}}{_PASSWORD}[ \t]*[:=][ \t]*[\"']?)"
        rf"{_MADE_UP}(?={_LETTER}*(?:[0-9]|(?-i:[a-z][A-Z]))){_NO_ERROR}{_LETTER}{{6,}}{_ENDS}",
        _I | re.MULTILINE,
    ),
    _rule(
        "token",
        rf"((?:^|(?<=[\s>|])|(?<=\\n))[\w.-]{{0,40}}token{_NO_PAGE}[ \t]*[:=][ \t]*[\"']?)"
        rf"{_MADE_UP}(?={_LETTER}*[0-9]|{_LETTER}{{20}}){_NO_ERROR}{_LETTER}{{6,}}{_ENDS}",
        _I | re.MULTILINE,
    ),
    _rule("passw", rf"((?<![\w-])passw(?:or)?d=[\"']?){_MADE_UP}[^\s\"'&,;\[)]+", _I),
    _rule(
        "token= password= secret= sig=", r"([?&][a-z_-]{0,30}(?:token|password|secret|sig)=)(?!\[)[^&\s\"'<>]{6,}", _I
    ),
)

# A private key in PEM or PGP's armour, whole or cut off before its end; its end alone, with the lines before it.
_KEY = r"[A-Z0-9 ]{0,40}PRIVATE KEY(?: BLOCK)?-----"
_PRIVATE_KEY = re.compile(rf"(-----BEGIN {_KEY}).*?(-----END {_KEY}|\Z)", re.DOTALL)
_KEY_END = re.compile(rf"-----END {_KEY}")
_KEY_LINE = re.compile(r"[A-Za-z0-9+/=]*\Z")
_COOKIE = re.compile(r"(?<![\w-])(Cookie\\{0,15}[\"']?: *b?\\{0,15}[\"']?)([^\n\"']+)", _I)
_COOKIE_VALUE = re.compile(r"(=)(?!\[redacted\])[^;\s\\]+")

# A mapping's key that names a secret; its value has no name of its own.
_SECRET_NAME = re.compile(
    r"(?:passw(?:or)?d|passphrase|secret|secret[_ -]?(?:access[_ -]?)?key|token|api[_-]?key|private[_-]?key"
    rf"|client-key-data|authorization|cookie){_NO_PAGE}\Z",
    _I,
)


def redact(text: str) -> str:
    """Return `text` with each secret in it replaced by REDACTED; redacting twice changes nothing more.

    Values of the environment whose names say that they are secrets are found wherever they stand.
    """
    return _remembered(text) if len(text) <= _REMEMBERED else _redacted(text)


def redact_data(value: Any) -> Any:
    """The same for all strings of a nested value, and for what stands under the name of a secret.

    What JSON does not know becomes a string first; bytes are read as UTF-8, and what is none is shown as `\\xff`.
    """
    if value is None or type(value) in (bool, int, float):
        return value
    if isinstance(value, Mapping):
        return {
            str(redact_data(str(key))): REDACTED if _is_named_secret(key, each) else redact_data(each)
            for key, each in value.items()
        }
    if isinstance(value, list | tuple | set | frozenset):
        return [redact_data(each) for each in value]
    text = value.decode(errors="backslashreplace") if isinstance(value, bytes | bytearray) else str(value)
    return redact(text)


def secrets_of(environment: Mapping[str, str]) -> tuple[str, ...]:
    """The values of an environment whose names say that they are secrets, as they are and percent-encoded.

    Short ones and paths are left out: they stand in texts for other reasons.
    """
    values = [
        value
        for name, value in environment.items()
        if _SECRET_NAME.search(name) and len(value) >= 12 and not value.startswith("/")
    ]
    return tuple(sorted({form for value in values for form in (value, quote(value, safe=""))}, key=len, reverse=True))


@cache
def _of_environment() -> re.Pattern[str] | None:
    found = secrets_of(os.environ)
    return re.compile("|".join(map(re.escape, found))) if found else None


def _is_named_secret(key: object, value: object) -> bool:
    return isinstance(value, str) and len(value) >= 4 and _SECRET_NAME.search(str(key)) is not None


@lru_cache(_REMEMBERED)
def _remembered(text: str) -> str:
    return _redacted(text)


def _redacted(text: str) -> str:
    known = _of_environment()
    if known:
        text = known.sub(REDACTED, text)
    lowered = text.lower()
    if "private key" in lowered:
        text = _PRIVATE_KEY.sub(lambda m: f"{m[1]}{REDACTED}{m[2]}", text)
        text = _without_key_before_its_end(text)
    for words, pattern in _RULES:
        if any(word in lowered for word in words):
            text = pattern.sub(lambda m: f"{m[1]}{REDACTED}", text)
    if "cookie" in lowered:
        text = _COOKIE.sub(lambda m: m[1] + _COOKIE_VALUE.sub(rf"\1{REDACTED}", m[2]), text)
    return text


def _without_key_before_its_end(text: str) -> str:
    """A private key whose beginning was cut off: the lines of base64 before its end."""
    made, position = [], 0
    for end in _KEY_END.finditer(text):
        before = text[position : end.start()]
        kept = before
        for newline in ("\n", "\\n"):
            lines = before.split(newline)
            while lines and _KEY_LINE.match(lines[-1]):
                lines.pop()
            kept = min(kept, newline.join([*lines, ""]) if lines else "", key=len)
        made += [kept, REDACTED if kept.strip() != before.strip() else before[len(kept) :], end[0]]
        position = end.end()
    return "".join([*made, text[position:]])
