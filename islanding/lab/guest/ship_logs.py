#!/usr/bin/python3
"""Ships the control plane's logs to CloudWatch Logs; runs on a control-plane machine, by the standard library alone.

The journal is the buffer: what could not be sent stays there, and goes when the Region is back (a local cluster's
control-plane logs are kept locally during a disconnect and sent afterwards: EKS user guide).

Usage: ship_logs.py LOG_GROUP REGION UNIT...
"""

from __future__ import annotations

import datetime
import hashlib
import hmac
import json
import os
import select
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any, cast

METADATA = "http://169.254.169.254/latest"
CURSOR = Path("/var/lib/ship-logs/cursor")
BATCH = 200  # events a call
PAUSE = 1.0  # seconds in which entries gather before they are sent, and before another try
TIMEOUT = 5.0  # seconds for a call


def metadata(path: str) -> str:
    """Ask the instance metadata service, version 2."""
    ask = urllib.request.Request(
        f"{METADATA}/api/token", method="PUT", headers={"X-aws-ec2-metadata-token-ttl-seconds": "60"}
    )
    with urllib.request.urlopen(ask, timeout=TIMEOUT) as reply:
        token = reply.read().decode()
    ask = urllib.request.Request(f"{METADATA}/meta-data/{path}", headers={"X-aws-ec2-metadata-token": token})
    with urllib.request.urlopen(ask, timeout=TIMEOUT) as reply:
        return str(reply.read().decode())


def credentials() -> dict[str, str]:
    """The instance role's credentials."""
    base = "iam/security-credentials/"
    found: dict[str, str] = json.loads(metadata(base + metadata(base).split()[0]))
    return found


def call(region: str, target: str, body: dict[str, Any], keys: dict[str, str]) -> None:
    """One call of CloudWatch Logs, signed with Signature Version 4; raises OSError when it does not succeed."""
    host = f"logs.{region}.amazonaws.com"
    content = json.dumps(body).encode()
    now = datetime.datetime.now(datetime.UTC).strftime("%Y%m%dT%H%M%SZ")
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "host": host,
        "x-amz-date": now,
        "x-amz-security-token": keys["Token"],
        "x-amz-target": f"Logs_20140328.{target}",
    }
    signed = ";".join(headers)
    scope = f"{now[:8]}/{region}/logs/aws4_request"
    lines = [
        "POST",
        "/",
        "",
        *(f"{k}:{v}" for k, v in headers.items()),
        "",
        signed,
        hashlib.sha256(content).hexdigest(),
    ]
    request = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    key = ("AWS4" + keys["SecretAccessKey"]).encode()
    for part in scope.split("/"):
        key = hmac.new(key, part.encode(), hashlib.sha256).digest()
    text = f"AWS4-HMAC-SHA256\n{now}\n{scope}\n{request}"
    signature = hmac.new(key, text.encode(), hashlib.sha256).hexdigest()
    headers["authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={keys['AccessKeyId']}/{scope}, SignedHeaders={signed}, Signature={signature}"
    )
    ask = urllib.request.Request(f"https://{host}/", data=content, headers=headers)
    with urllib.request.urlopen(ask, timeout=TIMEOUT) as reply:
        reply.read()


@contextmanager
def journal(units: list[str], cursor: str) -> Iterator[int]:
    """The units' entries behind the cursor, and those to come, a line each: a file descriptor that does not block."""
    command = ["journalctl", "--follow", "--output=json", f"--lines={'all' if cursor else BATCH}"]
    command += [f"--unit={unit}" for unit in units] + ([f"--after-cursor={cursor}"] if cursor else [])
    with subprocess.Popen(command, stdout=subprocess.PIPE) as reading:
        lines = cast(IO[bytes], reading.stdout).fileno()
        os.set_blocking(lines, False)
        try:
            yield lines
        finally:
            reading.kill()


def batches(lines: int) -> Iterator[list[dict[str, Any]]]:
    """What gathers in PAUSE seconds from an entry on, as batches; ends with the descriptor's other end."""
    rest = b""
    while True:
        select.select([lines], [], [])
        time.sleep(PAUSE)
        try:
            while more := os.read(lines, 1 << 20):
                rest += more
        except BlockingIOError:
            more = b"-"
        *whole, rest = rest.split(b"\n")
        entries = [json.loads(line) for line in whole]
        yield from (entries[at : at + BATCH] for at in range(0, len(entries), BATCH))
        if not more:
            return


def ship(group: str, region: str, units: list[str], entries: list[dict[str, Any]]) -> None:
    """Send a batch; raises OSError while the Region cannot be reached."""
    keys = credentials()
    machine = Path("/etc/hostname").read_text().strip()
    for unit in units:
        events = [
            {"timestamp": int(e["__REALTIME_TIMESTAMP"]) // 1000, "message": str(e.get("MESSAGE", ""))[:8000] or "-"}
            for e in entries
            if e.get("_SYSTEMD_UNIT") == f"{unit}.service"
        ]
        if events:
            stream = f"{unit}-{machine}"
            try:
                call(region, "CreateLogStream", {"logGroupName": group, "logStreamName": stream}, keys)
            except urllib.error.HTTPError as refused:
                if refused.code != 400:  # 400: it exists already
                    raise
            batch = {"logGroupName": group, "logStreamName": stream, "logEvents": events}
            call(region, "PutLogEvents", batch, keys)


def main() -> None:
    """Ship for ever; what fails is tried again, from where it was."""
    group, region, *units = sys.argv[1:]
    CURSOR.parent.mkdir(parents=True, exist_ok=True)
    while True:
        try:
            with journal(units, CURSOR.read_text() if CURSOR.exists() else "") as lines:
                for entries in batches(lines):
                    ship(group, region, units, entries)
                    CURSOR.write_text(entries[-1]["__CURSOR"])
        except (OSError, ValueError, KeyError) as error:
            print(f"not sent, kept in the journal: {type(error).__name__}: {error}", flush=True)
        time.sleep(PAUSE)


if __name__ == "__main__":
    main()
