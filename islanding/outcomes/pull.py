"""Outcomes of pulling an image at a node: which of the hops (token, manifest, layer) failed, and how.

The text is what a person sees: the pod's event, `crictl pull`'s last line, or kubelet's log of the credential provider.
Texts of more than one hop may stand together (kubelet first fails to get a token, then pulls without one): the earlier
hop is the answer, so the later one's patterns leave such texts alone.
"""

from __future__ import annotations

from islanding.outcomes.pattern import Exit, Outcome, Pattern

IMAGE_PULL = "image-pull"

_CONTAINERD = "containerd 2.4, through kubelet's event"
_NOTES = "docs/facts.md 1; tried by hand with kubelet 1.36, containerd 2.4, ecr-credential-provider and registry 3.1"
_ADDRESS = r"dial tcp (\d[\d.]*|\[[0-9a-fA-F:]+\]):\d+"
_SILENT = r"(?:i/o timeout|connect: connection timed out)"
_PLUGIN = r"(?:GetAuthorizationToken|error execing credential provider plugin|credential provider plugin ecr-)"
_BUCKET = r"https://[\w.-]{0,60}starport-layer-bucket"
_REGISTRY = r"https://\d+\.dkr[.-]ecr[\w.-]*"
_DENIED_TOKEN = r"(?:StatusCode: 40[03]|AccessDenied|UnrecognizedClient|ExpiredToken)"
_LOOKUP = r"dial tcp: lookup \S+"
_NO_TOKEN_TEXT = rf"(?s)\A(?!.*{_PLUGIN})"


def _pull(
    regex: str, example: str, component: str = _CONTAINERD, source: str = _NOTES, ended: Exit = "not zero"
) -> Pattern:
    return Pattern((IMAGE_PULL,), regex, example, component, source, ended)


PULLED = Outcome(
    "PULLED",
    ok=True,
    meaning="The image was pulled: token, manifest and layers all came.",
    patterns=(_pull(r"\A", "Image is up to date for sha256:2b9e", "crictl or kubelet", ended="zero"),),
)
PULL_TOKEN_TIMEOUT = Outcome(
    "PULL_TOKEN_TIMEOUT",
    ok=False,
    meaning="The credential provider got no answer from the ECR API: no token, so nothing can be pulled.",
    patterns=(
        _pull(
            rf"GetAuthorizationToken(?!(?s:.*){_LOOKUP})(?s:.*?)"
            rf"(?:{_ADDRESS}: {_SILENT}|deadline exceeded|Client\.Timeout)",
            "operation error ECR: GetAuthorizationToken, exceeded maximum number of attempts, 3, request send failed, "
            'Post "https://api.ecr.ap-northeast-1.amazonaws.com/": dial tcp 10.0.2.30:443: i/o timeout',
            "ecr-credential-provider (AWS SDK for Go v2), in kubelet's log",
        ),
        _pull(
            rf"error execing credential provider plugin ecr-credential-provider"
            rf"(?!(?s:.*)(?:{_LOOKUP}|GetAuthorizationToken))(?s:.*?)(?:deadline exceeded|signal: killed)",
            "failed getting credential from external registry credential provider: error execing credential provider "
            "plugin ecr-credential-provider for image 111122223333.dkr.ecr.eu-west-1.amazonaws.com/app: context "
            "deadline "
            "exceeded",
            "kubelet 1.36 (it ends the plugin after 60 s)",
            "kubernetes/cloud-provider-aws, thread 1029",
        ),
    ),
)
PULL_TOKEN_DENIED = Outcome(
    "PULL_TOKEN_DENIED",
    ok=False,
    meaning="The ECR API answered the credential provider, and refused the token.",
    patterns=(
        _pull(
            rf"GetAuthorizationToken(?s:.*?){_DENIED_TOKEN}",
            "operation error ECR: GetAuthorizationToken, https response error StatusCode: 400, RequestID: 1, api error "
            "AccessDeniedException: User: arn:aws:sts::111122223333:assumed-role/node/i-1 is not authorized to "
            "perform: "
            "ecr:GetAuthorizationToken on resource: * because no VPC endpoint policy allows the action",
            "ecr-credential-provider (AWS SDK for Go v2), in kubelet's log",
            "AWS SDK for Go v2, aws/transport/http ResponseError",
        ),
    ),
)
PULL_NO_CREDENTIALS = Outcome(
    "PULL_NO_CREDENTIALS",
    ok=False,
    meaning="The pull was tried without a token, because the credential provider gave none.",
    patterns=(
        _pull(
            rf"{_NO_TOKEN_TEXT}.*(?:no basic auth credentials|authorization failed: no basic auth)",
            'Failed to pull image "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1": pull access denied, '
            "repository "
            "does not exist or may require authorization: authorization failed: no basic auth credentials",
        ),
    ),
)
PULL_TOKEN_EXPIRED = Outcome(
    "PULL_TOKEN_EXPIRED",
    ok=False,
    meaning="The registry was reached, and the token that was sent is no longer good.",
    patterns=(
        _pull(
            rf"{_NO_TOKEN_TEXT}.*(?i:your authorization token has expired)",
            "denied: Your authorization token has expired. Reauthenticate and try again.",
            "Amazon ECR",
            "AWS ECR user guide, common errors with Docker commands",
        ),
    ),
)
PULL_MANIFEST_TIMEOUT = Outcome(
    "PULL_MANIFEST_TIMEOUT",
    ok=False,
    meaning="The registry did not answer when the manifest was asked for; the text has the address that was tried.",
    patterns=(
        _pull(
            rf'{_NO_TOKEN_TEXT}.*(?:Head|Get) \\*"https://[^"\s]+/manifests/[^"\s]*": '
            rf"(?:{_ADDRESS}: {_SILENT}|net/http: TLS handshake timeout|context deadline exceeded)",
            "failed to resolve image: failed to do request: Head "
            '"https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/'
            'app/manifests/v1": dial tcp 10.0.2.31:443: i/o timeout',
        ),
    ),
)
PULL_MANIFEST_FORBIDDEN = Outcome(
    "PULL_MANIFEST_FORBIDDEN",
    ok=False,
    meaning="The registry, or the endpoint before it, answered 403 when the manifest was asked for.",
    patterns=(
        _pull(
            rf"{_NO_TOKEN_TEXT}(?!.*(?i:token has expired)).*"
            r"unexpected status from (?:HEAD|GET) request to https://\S+/manifests/\S+: 403 Forbidden",
            'failed to resolve reference "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1": unexpected status '
            "from HEAD "
            "request to https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/app/manifests/v1: 403 Forbidden",
            source="containerd, core/remotes/errors (Unexpected status)",
        ),
    ),
)
PULL_BLOB_TIMEOUT = Outcome(
    "PULL_BLOB_TIMEOUT",
    ok=False,
    meaning="The registry gave the manifest, then did not answer when a blob was asked for; S3 was not yet asked.",
    patterns=(
        _pull(
            rf'{_NO_TOKEN_TEXT}.*Get \\*"{_REGISTRY}/v2/[^"\s]+/blobs/[^"\s]*": '
            rf"(?:{_ADDRESS}: {_SILENT}|net/http: TLS handshake timeout)",
            "failed to copy: httpReadSeeker: failed open: failed to do request: Get "
            '"https://123456789012.dkr.ecr.eu-west-1.'
            'amazonaws.com/v2/app/blobs/sha256:44": dial tcp 10.0.2.31:443: i/o timeout',
        ),
    ),
)
PULL_LAYER_TIMEOUT = Outcome(
    "PULL_LAYER_TIMEOUT",
    ok=False,
    meaning="The registry answered and sent the node to S3, and S3 did not answer: no way to the layer bucket.",
    patterns=(
        _pull(
            rf'{_NO_TOKEN_TEXT}.*Get \\*"{_BUCKET}[^"\s]{{0,4000}}": '
            rf"(?:{_ADDRESS}: {_SILENT}|net/http: TLS handshake timeout|context deadline exceeded)",
            "failed to copy: httpReadSeeker: failed open: failed to do request: Get "
            '"https://prod-eu-west-1-starport-layer-'
            'bucket.s3.eu-west-1.amazonaws.com/4f/1?X-Amz-Expires=3600": dial tcp 52.219.0.10:443: i/o timeout',
        ),
    ),
)
PULL_LAYER_FORBIDDEN = Outcome(
    "PULL_LAYER_FORBIDDEN",
    ok=False,
    meaning="S3 was reached and answered 403 for a layer: a policy does not let the layer bucket be read.",
    patterns=(
        _pull(
            rf"{_NO_TOKEN_TEXT}.*unexpected status(?: code)? (?:from GET request to )?"
            rf"{_BUCKET}\S{{0,4000}}:? 403 Forbidden",
            "failed to copy: httpReadSeeker: failed open: unexpected status from GET request to "
            "https://prod-eu-west-1-starport-layer-bucket.s3.eu-west-1.amazonaws.com/4f/1?X-Amz-Expires=3600: 403 "
            "Forbidden",
        ),
    ),
)
PULL_NAME_NOT_RESOLVED = Outcome(
    "PULL_NAME_NOT_RESOLVED",
    ok=False,
    meaning="A name on the pull's way (ECR API, registry or bucket) could not be turned into an address.",
    patterns=(
        _pull(
            rf"{_LOOKUP}(?: on \S+)?: (?:.*)"
            r"(?:i/o timeout|no such host|server misbehaving|connection refused|Temporary failure in name resolution)",
            'failed to do request: Head "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/app/manifests/v1": '
            "dial "
            "tcp: lookup 123456789012.dkr.ecr.eu-west-1.amazonaws.com on 10.0.0.2:53: read udp "
            "10.0.2.9:4051->10.0.0.2:53: "
            "i/o timeout",
            "Go's net resolver, in containerd or ecr-credential-provider",
        ),
    ),
)
PULL_REFUSED = Outcome(
    "PULL_REFUSED",
    ok=False,
    meaning="The address is there and nothing listens at it.",
    patterns=(
        _pull(
            rf"{_ADDRESS}: connect: connection refused",
            'failed to do request: Head "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/app/manifests/v1": '
            "dial "
            "tcp 10.0.2.31:443: connect: connection refused",
        ),
    ),
)
PULL_CERTIFICATE = Outcome(
    "PULL_CERTIFICATE",
    ok=False,
    meaning="Something answered with a certificate that the node does not trust: a proxy, or another host.",
    patterns=(
        _pull(
            r"x509: ",
            'failed to do request: Head "https://123456789012.dkr.ecr.eu-west-1.amazonaws.com/v2/app/manifests/v1": '
            "tls: "
            "failed to verify certificate: x509: certificate signed by unknown authority",
            source="Go's crypto/x509",
        ),
    ),
)
IMAGE_NOT_FOUND = Outcome(
    "IMAGE_NOT_FOUND",
    ok=False,
    meaning="The registry answered: it has no such repository or tag.",
    patterns=(
        _pull(
            r"failed to resolve (?:image|reference)[^\n]*: (?<!host: )not found\b",
            'failed to pull and unpack image "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v9": failed to resolve '
            'reference "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v9": '
            "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v9: not found",
            source="containerd, core/remotes/docker resolver (errdefs.ErrNotFound)",
        ),
    ),
)
PULL_BACKING_OFF = Outcome(
    "PULL_BACKING_OFF",
    ok=False,
    meaning="kubelet waits before the next try; this text does not say why the last one failed.",
    patterns=(
        _pull(
            r"\A(?:\s*(?:Back-off pulling image \S+|Error: ImagePullBackOff|ImagePullBackOff)\s*)+\Z",
            'Back-off pulling image "123456789012.dkr.ecr.eu-west-1.amazonaws.com/app:v1"',
            "kubelet, images/image_manager.go",
            "kubernetes/kubernetes, pkg/kubelet/images",
        ),
    ),
)

PULL = (
    PULLED,
    PULL_TOKEN_TIMEOUT,
    PULL_TOKEN_DENIED,
    PULL_NO_CREDENTIALS,
    PULL_TOKEN_EXPIRED,
    PULL_MANIFEST_TIMEOUT,
    PULL_MANIFEST_FORBIDDEN,
    PULL_BLOB_TIMEOUT,
    PULL_LAYER_TIMEOUT,
    PULL_LAYER_FORBIDDEN,
    PULL_NAME_NOT_RESOLVED,
    PULL_REFUSED,
    PULL_CERTIFICATE,
    IMAGE_NOT_FOUND,
    PULL_BACKING_OFF,
)
