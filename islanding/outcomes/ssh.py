"""Outcomes of logging in by SSH, directly or through a jump host: texts of OpenSSH and of paramiko."""

from __future__ import annotations

from islanding.outcomes.pattern import Exit, Outcome, Pattern

SSH = "ssh"

_OPENSSH = "OpenSSH client"
_PARAMIKO = "paramiko"
_SSH_SOURCE = "OpenSSH: sshconnect.c, channels.c"
_PARAMIKO_SOURCE = "paramiko: client.py, ssh_exception.py"
_JUMP = (
    r"stdio forwarding failed|open failed: (?:connect failed|administratively prohibited)"
    r"|ChannelException\(|Connect failed|Timeout opening channel"
)


def _ssh(
    regex: str, example: str, component: str = _OPENSSH, source: str = _SSH_SOURCE, ended: Exit = "not zero"
) -> Pattern:
    return Pattern((SSH,), regex, example, component, source, ended)


LOGGED_IN = Outcome(
    "LOGGED_IN",
    ok=True,
    meaning="A command ran at the far end.",
    patterns=(_ssh(r"\A", "logged in as ec2-user", source="islanding/probes", ended="zero"),),
)
SSH_TIMEOUT = Outcome(
    "SSH_TIMEOUT",
    ok=False,
    meaning="Nothing came back in time from the host that is reached first: group, NACL or route, or it hangs.",
    patterns=(
        _ssh(
            rf"\A(?!(?s:.*)(?:{_JUMP}))(?s:.*)ssh: connect to host \S+ port \d+: (?:Connection|Operation) timed out",
            "ssh: connect to host 203.0.113.20 port 22: Connection timed out",
        ),
        _ssh(r"^(?:connect: )?timed out", "timed out", _PARAMIKO, _PARAMIKO_SOURCE),
        _ssh(
            r"Connection timed out during banner exchange",
            "Connection timed out during banner exchange",
        ),
        # connect() goes on after a time-out, and the first thing it asks of the session says so.
        _ssh(r"^No existing session", "No existing session", _PARAMIKO, "paramiko: transport.py, start_client"),
    ),
)
SSH_JUMP_FAILED = Outcome(
    "SSH_JUMP_FAILED",
    ok=False,
    meaning="The jump host let us in, and could not itself connect to the host behind it.",
    patterns=(
        _ssh(_JUMP, "channel 0: open failed: connect failed: Connection timed out\nstdio forwarding failed"),
        _ssh(r"^Timeout opening channel", "Timeout opening channel.", _PARAMIKO, _PARAMIKO_SOURCE),
        _ssh(
            r"^ChannelException\(2, 'Connect failed'\)",
            "ChannelException(2, 'Connect failed')",
            _PARAMIKO,
            _PARAMIKO_SOURCE,
        ),
    ),
)
SSH_DENIED = Outcome(
    "SSH_DENIED",
    ok=False,
    meaning="The host is there and does not accept the key.",
    patterns=(
        _ssh(
            r"Permission denied \([\w,-]+\)|Too many authentication failures",
            "ec2-user@203.0.113.20: Permission denied (publickey).",
        ),
        _ssh(r"^Authentication failed\b", "Authentication failed.", _PARAMIKO, _PARAMIKO_SOURCE),
    ),
)
SSH_REFUSED = Outcome(
    "SSH_REFUSED",
    ok=False,
    meaning="The address is there and no SSH server listens.",
    patterns=(
        _ssh(
            r"ssh: connect to host \S+ port \d+: Connection refused",
            "ssh: connect to host 203.0.113.20 port 22: Connection refused",
        ),
        _ssh(
            r"^(?:connect: \[Errno 111\]|\[Errno None\] Unable to connect to port \d+ on )",
            "[Errno None] Unable to connect to port 22 on 203.0.113.20",
            _PARAMIKO,
            _PARAMIKO_SOURCE,
        ),
    ),
)
SSH_NO_ROUTE = Outcome(
    "SSH_NO_ROUTE",
    ok=False,
    meaning="The machine that connects has no route to the host.",
    patterns=(
        _ssh(
            r"ssh: connect to host \S+ port \d+: (?:No route to host|Network is unreachable)",
            "ssh: connect to host 10.0.2.9 port 22: Network is unreachable",
        ),
    ),
)
SSH_HOST_KEY = Outcome(
    "SSH_HOST_KEY",
    ok=False,
    meaning="The host's key is not the one that was known: another machine has its address.",
    patterns=(
        _ssh(r"Host key verification failed", "Host key verification failed."),
        _ssh(
            r"^Host key for server .* does not match",
            "Host key for server '203.0.113.20' does not match: got 'a', expected 'b'",
            _PARAMIKO,
            _PARAMIKO_SOURCE,
        ),
    ),
)
SSH_CLOSED = Outcome(
    "SSH_CLOSED",
    ok=False,
    meaning="The connection was made and closed before anybody could log in.",
    patterns=(
        _ssh(
            rf"\A(?!(?s:.*)(?:{_JUMP}|timed out|Permission denied))(?s:.*)"
            r"(?:kex_exchange_identification: |Connection closed by )",
            "kex_exchange_identification: Connection closed by remote host",
        ),
        _ssh(r"^Error reading SSH protocol banner", "Error reading SSH protocol banner", _PARAMIKO, _PARAMIKO_SOURCE),
        _ssh(r"^Negotiation failed", "Negotiation failed.", _PARAMIKO, "paramiko: transport.py, start_client"),
    ),
)

SSHS = (
    LOGGED_IN,
    SSH_TIMEOUT,
    SSH_JUMP_FAILED,
    SSH_DENIED,
    SSH_REFUSED,
    SSH_NO_ROUTE,
    SSH_HOST_KEY,
    SSH_CLOSED,
)
