"""Outcomes of an AWS call made at an instance by the aws command (botocore): answered, refused, or no way there.

botocore words a name that does not resolve and a refused connection alike (AWS_NOT_CONNECTED); only a look-up beside it
tells them apart: a probe that adds one writes `resolve: ` before its error.
"""

from __future__ import annotations

from islanding.outcomes.pattern import Exit, Outcome, Pattern

AWS_CALL = "aws-call"

_BOTOCORE = "botocore, in the aws command"
_EXCEPTIONS = "botocore/exceptions.py"
_DENIED = r"AccessDenied\w*|UnauthorizedOperation|NotAuthorized\w*|Unauthorized\w*|AuthorizationError\w*|403|Forbidden"
_BAD = (
    r"InvalidClientTokenId|UnrecognizedClientException|ExpiredToken\w*|SignatureDoesNotMatch|InvalidAccessKeyId"
    r"|AuthFailure|IncompleteSignature|InvalidSignatureException|RequestExpired|MissingAuthenticationToken\w*"
)
_GO_LOOKUP = r"dial tcp: lookup \S+"


def _call(
    regex: str, example: str, component: str = _BOTOCORE, source: str = _EXCEPTIONS, ended: Exit = "not zero"
) -> Pattern:
    return Pattern((AWS_CALL,), regex, example, component, source, ended)


OK = Outcome(
    "OK",
    ok=True,
    meaning="AWS answered the call.",
    patterns=(_call(r"\A", '{"UserId": "AROA:i-1"}', "the aws command", "its exit code", "zero"),),
)
AWS_TIMEOUT = Outcome(
    "AWS_TIMEOUT",
    ok=False,
    meaning="No packet came back from the service's address: there is no way to it.",
    patterns=(
        _call(
            r"^(?!resolve: ).*(?:Connect|Read) timeout on endpoint URL: ",
            'Connect timeout on endpoint URL: "https://ec2.ap-northeast-1.amazonaws.com/"',
        ),
        _call(
            r"dial tcp \d[\d.]*:\d+: (?:i/o timeout|connect: connection timed out)",
            'RequestError: send request failed caused by: Post "https://sts.eu-west-1.amazonaws.com/": dial tcp '
            "52.94.0.10:443: i/o timeout",
            "AWS SDK for Go",
            "docs/facts.md 1",
        ),
    ),
)
AWS_NAME_NOT_RESOLVED = Outcome(
    "AWS_NAME_NOT_RESOLVED",
    ok=False,
    meaning="The service's name could not be turned into an address.",
    patterns=(
        _call(
            r"^resolve: ",
            "resolve: [Errno -2] Name or service not known: ec2.ap-northeast-1.amazonaws.com",
            "glibc's getaddrinfo",
            "islanding/probes: a look-up beside the call",
        ),
        _call(
            rf"{_GO_LOOKUP}(?: on \S+)?: ",
            'Post "https://sts.eu-west-1.amazonaws.com/": dial tcp: lookup sts.eu-west-1.amazonaws.com on '
            "10.0.0.2:53: no "
            "such host",
            "AWS SDK for Go",
            "Go's net resolver",
        ),
    ),
)
AWS_NOT_CONNECTED = Outcome(
    "AWS_NOT_CONNECTED",
    ok=False,
    meaning="No connection, at once: the name did not resolve, or something refused; botocore words both alike.",
    patterns=(
        _call(
            r"\A(?!(?s:.*)^resolve: )(?s:.*)Could not connect to the endpoint URL: ",
            'Could not connect to the endpoint URL: "https://ec2.ap-northeast-1.amazonaws.com/"',
        ),
    ),
)
AWS_ACCESS_DENIED = Outcome(
    "AWS_ACCESS_DENIED",
    ok=False,
    meaning="AWS knows who is calling and refuses: by identity, resource or endpoint policy; the text may say which.",
    patterns=(
        _call(
            rf"An error occurred \((?:{_DENIED})\)",
            "An error occurred (AccessDenied) when calling the GetObject operation: User: "
            "arn:aws:sts::111122223333:assumed-"
            "role/node/i-1 is not authorized to perform: s3:GetObject because no VPC endpoint policy allows the "
            "s3:GetObject "
            "action",
        ),
    ),
)
AWS_BAD_CREDENTIALS = Outcome(
    "AWS_BAD_CREDENTIALS",
    ok=False,
    meaning="AWS does not accept the credentials: unknown, expired, or signed wrongly.",
    patterns=(
        _call(
            rf"An error occurred \((?:{_BAD})\)",
            "An error occurred (ExpiredToken) when calling the GetCallerIdentity operation: The security token "
            "included in "
            "the request is expired",
        ),
    ),
)
AWS_NO_CREDENTIALS = Outcome(
    "AWS_NO_CREDENTIALS",
    ok=False,
    meaning="There was nothing to sign the call with: no role at the instance, or its metadata service did not answer.",
    patterns=(
        _call(
            r"Unable to locate credentials|Partial credentials found|Error when retrieving credentials from",
            'Unable to locate credentials. You can configure credentials by running "aws configure".',
        ),
    ),
)
AWS_CERTIFICATE = Outcome(
    "AWS_CERTIFICATE",
    ok=False,
    meaning="Something answered with a certificate that the caller does not trust.",
    patterns=(
        _call(
            r"SSL validation failed for ",
            "SSL validation failed for https://ec2.eu-west-1.amazonaws.com/ [SSL: CERTIFICATE_VERIFY_FAILED] "
            "certificate "
            "verify failed: self-signed certificate in certificate chain",
        ),
    ),
)
AWS_ERROR = Outcome(
    "AWS_ERROR",
    ok=False,
    meaning="AWS was reached and answered with an error about the call itself.",
    patterns=(
        _call(
            rf"An error occurred \((?!(?:{_DENIED}|{_BAD})\))[\w.:-]+\)",
            "An error occurred (RepositoryNotFoundException) when calling the DescribeImages operation: The "
            "repository with "
            "name 'app' does not exist",
        ),
    ),
)

AWS = (
    OK,
    AWS_TIMEOUT,
    AWS_NAME_NOT_RESOLVED,
    AWS_NOT_CONNECTED,
    AWS_ACCESS_DENIED,
    AWS_BAD_CREDENTIALS,
    AWS_NO_CREDENTIALS,
    AWS_CERTIFICATE,
    AWS_ERROR,
)
