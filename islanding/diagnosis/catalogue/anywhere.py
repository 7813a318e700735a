"""What may happen at any step: names, TLS on the way, a policy at an endpoint."""

from __future__ import annotations

from islanding.diagnosis.catalogue.common import (
    ACCESS_DENIED,
    DHCP,
    DNS_OFF,
    RESOLVER_CUT,
    text,
)
from islanding.diagnosis.entries import Cause, Entry

ANYWHERE = (
    Entry(
        "NAME_NOT_RESOLVED",
        "name",
        "A name could not be turned into an address; no packet went to the service itself.",
        (DNS_OFF, DHCP, RESOLVER_CUT),
        (
            "at the node: cat /etc/resolv.conf, then getent ahostsv4 HOST",
            "aws ec2 describe-vpc-attribute --attribute enableDnsSupport of the VPC",
            "aws ec2 describe-dhcp-options of the VPC: domain-name-servers should be AmazonProvidedDNS",
            "'i/o timeout' means that the resolver is silent, 'no such host' that it does not know the name",
        ),
        outcomes=("PULL_NAME_NOT_RESOLVED", "NODE_API_NAME_NOT_RESOLVED", "AWS_NAME_NOT_RESOLVED"),
        texts=(
            text(
                r"Could not resolve host: \S+|Temporary failure in name resolution|Name or service not known",
                "curl: (6) Could not resolve host: ec2.eu-west-1.amazonaws.com",
                "curl; glibc's getaddrinfo",
                "curl's manual, exit code 6",
            ),
            text(
                r"dial tcp: lookup \S+(?: on \S+)?: ",
                "Unable to connect to the server: dial tcp: lookup api.example.test on 10.0.0.2:53: no such host",
                "Go's net resolver",
                "docs/measurements.md 8",
            ),
        ),
        rank=10,
    ),
    Entry(
        "PULL_CERTIFICATE",
        "manifest",
        "Something answered in the service's place, with a certificate that the node does not trust.",
        (
            Cause("a proxy or firewall takes TLS apart on the way", "the certificate's issuer is your company's"),
            Cause("a hosts entry or a private zone leads the name elsewhere", "getent gives an address not of AWS"),
        ),
        ("at the node: openssl s_client -connect HOST:443 -servername HOST, and read the issuer",),
        outcomes=("PULL_CERTIFICATE", "AWS_CERTIFICATE"),
        rank=8,
    ),
    Entry(
        "TLS_HANDSHAKE_TIMEOUT",
        "manifest",
        "TCP connected and TLS got no answer: somebody on the way ends TCP, or large packets are lost.",
        (
            Cause("a proxy or firewall on the way accepts TCP and cannot reach the service", "the path has one"),
            Cause("packets larger than the path's MTU are lost in silence", "small answers come, large ones do not"),
        ),
        (
            "at the node: curl -v https://HOST/ (does it stop after 'Client hello'?)",
            "at the node: ping -M do -s 1472 ADDRESS, then smaller",
        ),
        texts=(
            text(
                r"net/http: TLS handshake timeout",
                "failed to do request: Head "
                '"https://111122223333.dkr.ecr.eu-west-1.amazonaws.com/v2/app/manifests/latest": '
                "net/http: TLS handshake timeout",
                "Go's net/http, in containerd or kubectl",
                "terraform-aws-modules/terraform-aws-eks, thread 2685; docs/facts.md 2",
            ),
        ),
        rank=9,
    ),
    Entry(
        "ENDPOINT_POLICY_DENIED",
        "policy",
        "The request reached AWS through a VPC endpoint, and the endpoint's policy does not allow it.",
        (Cause("a statement in the endpoint's policy", "the text says so: 'no VPC endpoint policy allows'"),),
        (
            "aws ec2 describe-vpc-endpoints: PolicyDocument of the service's endpoint",
            "compare action, resource and principal of the text with its statements and conditions",
        ),
        texts=(
            text(
                r"because no VPC endpoint policy allows the|explicit deny in a VPC endpoint policy",
                "An error occurred (AccessDenied) when calling the GetObject operation: User: "
                "arn:aws:sts::111122223333:"
                "assumed-role/node/i-1 is not authorized to perform: s3:GetObject because no VPC endpoint policy "
                "allows the "
                "s3:GetObject action",
                "AWS",
                ACCESS_DENIED,
            ),
        ),
        rank=10,
    ),
)
