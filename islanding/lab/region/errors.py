"""Errors as AWS words them, in the wire form that the caller's protocol expects."""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

from islanding.lab.region.http import Request, Response

QUERY_NAMESPACES = {
    "sts": "https://sts.amazonaws.com/doc/2011-06-15/",
    "iam": "https://iam.amazonaws.com/doc/2010-05-08/",
    "autoscaling": "http://autoscaling.amazonaws.com/doc/2011-01-01/",
    "monitoring": "http://monitoring.amazonaws.com/doc/2010-08-01/",
}
JSON_SERVICES = frozenset({"eks", "outposts", "ecr", "monitoring", "logs", "ssm", "secretsmanager"})


# What other families of services call the same thing. Query services (STS, IAM) use the plain names. Spellings for
# EC2 and the JSON services from the "common errors" pages of their API references (memory).
_JSON_NAMES = {
    "InvalidClientTokenId": "UnrecognizedClientException",
    "SignatureDoesNotMatch": "InvalidSignatureException",
    "IncompleteSignature": "IncompleteSignatureException",
    "ExpiredToken": "ExpiredTokenException",
    "MissingAuthenticationToken": "MissingAuthenticationTokenException",
}
_EC2_NAMES = {
    "InvalidClientTokenId": ("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
    "SignatureDoesNotMatch": ("AuthFailure", "AWS was not able to validate the provided access credentials", 401),
    "ExpiredToken": ("RequestExpired", "Request has expired.", 400),
}
_S3_NAMES = {"InvalidClientTokenId": "InvalidAccessKeyId"}


class AwsError(Exception):
    """An error of the AWS API: `code` and `message` as the service words them, HTTP `status`.

    `fields` are further members of the error's body (rest-json services only).
    """

    def __init__(self, code: str, message: str, status: int = 400, **fields: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status
        self.fields = fields


def adapt(error: AwsError, service: str) -> AwsError:
    """The same error in the words of `service`: authentication failures are named differently by each family."""
    if service == "ec2" and error.code in _EC2_NAMES:
        return AwsError(*_EC2_NAMES[error.code])
    if service == "s3":
        return AwsError(_S3_NAMES.get(error.code, error.code), error.message, error.status)
    if service in JSON_SERVICES - {"monitoring"}:  # CloudWatch kept its query names when it moved to JSON
        return AwsError(_JSON_NAMES.get(error.code, error.code), error.message, error.status, **error.fields)
    return error


def render(error: AwsError, request: Request, service: str) -> Response:
    """The reply by which `service` would tell `error` to whoever sent `request`."""
    rid = str(uuid.uuid4())
    if speaks_json(request, service):
        if service == "sts":  # STS answers JSON in the shape of its XML
            body = {"Error": {"Code": error.code, "Message": error.message, "Type": "Sender"}, "RequestId": rid}
        else:
            body = {"__type": error.code, "message": error.message, **error.fields}
        headers = (
            ("Content-Type", "application/json"),
            ("x-amzn-RequestId", rid),
            ("x-amzn-ErrorType", error.code),
        )
        return Response(error.status, headers, json.dumps(body).encode())
    code, message = escape(error.code), escape(error.message)
    if service == "ec2":
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Response><Errors><Error><Code>{code}</Code>'
            f"<Message>{message}</Message></Error></Errors><RequestID>{rid}</RequestID></Response>"
        )
    elif service == "s3":
        text = (
            f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code><Message>{message}</Message>'
            f"<RequestId>{rid}</RequestId></Error>"
        )
    else:
        text = (
            f'<ErrorResponse xmlns="{QUERY_NAMESPACES.get(service, "")}">\n  <Error>\n    <Type>Sender</Type>\n'
            f"    <Code>{code}</Code>\n    <Message>{message}</Message>\n  </Error>\n"
            f"  <RequestId>{rid}</RequestId>\n</ErrorResponse>\n"
        )
    return Response(error.status, (("Content-Type", "text/xml"), ("x-amzn-RequestId", rid)), text.encode())


def speaks_json(request: Request, service: str) -> bool:
    """Whether the reply to `request` is to be JSON: by its content type, by the service, or (STS) because it asks."""
    if service == "sts":
        return "json" in request.headers.get("accept", "")
    content_type = request.headers.get("content-type", "")
    if content_type.startswith("application/x-www-form-urlencoded"):
        return False
    return service in JSON_SERVICES or "json" in content_type
