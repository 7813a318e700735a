"""Runs the real registry for a lab: a process on AWS's side that keeps its layers in the lab's own S3.

Requests reach it by a socket in the lab's folder, and only through the Region, which knows who asks for what. Options
as measured: without `regionendpoint` it makes the very URLs that AWS's registry redirects to.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from moto.s3.models import s3_backends

from islanding.errors import LabError
from islanding.lab.archives import StoredImage
from islanding.lab.kernel import inside
from islanding.lab.region import publish
from islanding.lab.region.bodies import PIECE
from islanding.lab.region.errors import AwsError
from islanding.lab.region.http import Request, Response
from islanding.lab.region.seed import Seed
from islanding.lab.region.server import Region
from islanding.lab.system_images import ACCOUNT
from islanding.lab.vpc.outside import AWS, Outside
from islanding.wait import wait_until

READY_SECONDS = 20.0
ANSWER_SECONDS = 300.0  # the longest that one request may take: large layers are moved inside S3 when they are complete
_HOP = frozenset({"connection", "keep-alive", "transfer-encoding", "date", "te", "trailer", "upgrade"})
_NO_BODY = (204, 304)


def bucket(region: str) -> str:
    """The bucket that holds ECR's layers ("Minimum Amazon S3 bucket permissions for Amazon ECR", ECR user guide)."""
    return f"prod-{region}-starport-layer-bucket"


@dataclass(frozen=True)
class _Keys:
    access: str
    secret: str = field(repr=False)


class Distribution:
    """A registry process in the namespace of AWS; layers belong to AWS's own account, as the URLs of S3 show."""

    def __init__(
        self, region: Region, outside: Outside, *, binary: Path, ca_file: Path, folder: Path, log: Path
    ) -> None:
        self._region = region
        self._outside = outside
        self._binary = binary
        self._ca_file = ca_file
        self._folder = folder
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._idle: list[_Connection] = []
        self._lock = threading.Lock()
        folder.mkdir(parents=True, exist_ok=True)
        _, access, secret = Seed(ACCOUNT, region.region).create_user_with_key(f"starport-{os.urandom(4).hex()}")
        self._keys = _Keys(access, secret)
        s3 = s3_backends[ACCOUNT]["aws"]
        if self.bucket not in s3.buckets:  # moto's state is that of the process
            s3.create_bucket(self.bucket, region.region)

    @property
    def bucket(self) -> str:
        return bucket(self._region.region)

    @property
    def socket_path(self) -> Path:
        return self._folder / "registry.sock"

    def start(self) -> None:
        """Start the process and wait until it answers; raises WaitTimeout, or LabError with what it said."""
        etc = self._folder / "etc"
        etc.mkdir(exist_ok=True)
        (etc / "resolv.conf").write_text(f"nameserver {self._outside.resolver}\n")
        # its own way to S3 does not hang on the lab's DNS, which tests break
        own = f"{self._outside.s3[0]} {self.bucket}.s3.{self._region.region}.amazonaws.com"
        (etc / "hosts").write_text(f"127.0.0.1 localhost\n{own}\n")
        configuration = self._folder / "registry.json"  # JSON is YAML
        configuration.touch(mode=0o600)
        configuration.write_text(json.dumps(self._configuration()))
        self.socket_path.unlink(missing_ok=True)
        binds = " && ".join(f"mount --bind {etc / name} /etc/{name}" for name in ("resolv.conf", "hosts"))
        script = f'{binds} && exec "$@"'
        command = ["unshare", "--mount", "--propagation", "private", "sh", "-c", script, "sh"]
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                inside(AWS, [*command, str(self._binary), "serve", str(configuration)]),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env=self._environment(),
            )
        wait_until("the registry to answer", self._decided, timeout=READY_SECONDS, interval=0.01)
        if self._process.poll() is not None:
            said = self._log.read_text(errors="replace").strip()[-500:]
            raise LabError(f"the registry ended with exit code {self._process.returncode}: {said}")
        self._region.registry.connect(self.ask)

    def publish(self, images: Iterable[StoredImage], account: str = ACCOUNT) -> None:
        """Put image archives into an account's repositories, without a push; raises SetupError for what is no archive.

        The archives have to stay where they are for as long as the lab lives: their blobs are served from them.
        """
        publish.publish(self._region.ecr, account, self.bucket, images)

    def close(self) -> None:
        """End the process."""
        with self._lock:
            while self._idle:
                self._idle.pop().close()
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
        self.socket_path.unlink(missing_ok=True)

    def _environment(self) -> dict[str, str]:
        return {
            "PATH": os.environ.get("PATH", ""),
            "SSL_CERT_FILE": str(self._ca_file),
            "AWS_CA_BUNDLE": str(self._ca_file),
            "AWS_EC2_METADATA_DISABLED": "true",
            "AWS_CONFIG_FILE": "/dev/null",
            "GODEBUG": "netdns=go",
            "OTEL_TRACES_EXPORTER": "none",
        }

    def _configuration(self) -> dict[str, object]:
        s3 = {
            "region": self._region.region,
            "bucket": self.bucket,
            "accesskey": self._keys.access,
            "secretkey": self._keys.secret,
            "secure": True,
            "v4auth": True,
            "forcepathstyle": False,
            "chunksize": 10 << 20,
            "loglevel": "off",
        }
        return {
            "version": 0.1,
            "log": {"level": "warn", "accesslog": {"disabled": True}},
            "storage": {
                "s3": s3,
                "redirect": {"disable": False},
                "delete": {"enabled": True},
                "cache": {"blobdescriptor": "inmemory"},
                "maintenance": {"uploadpurging": {"enabled": False}},
            },
            "http": {
                "net": "unix",
                "addr": str(self.socket_path),
                "relativeurls": True,
                "secret": os.urandom(16).hex(),
            },
        }

    def _decided(self) -> bool:
        """Whether the process answers, or has ended."""
        if self._process is None or self._process.poll() is not None:
            return True
        with contextlib.suppress(AwsError, http.client.HTTPException):
            return self.ask(Request("GET", "/v2/")).status == 200
        return False

    # -- asking ----------------------------------------------------------------------------------------------------

    def ask(self, request: Request) -> Response:
        """The registry's reply to one request; its body is passed on while it comes."""
        body = request.upload if request.upload is not None else request.body
        length = os.fstat(request.upload.fileno()).st_size if request.upload is not None else len(request.body)
        target = request.path + (f"?{request.query}" if request.query else "")
        headers = {n: v for n, v in request.headers.items() if n not in _HOP and n not in ("expect", "content-length")}
        headers |= {"content-length": str(length), "x-forwarded-proto": "https"}
        connection, answer = self._send(request.method, target, body, headers)
        kept = tuple((n, v) for n, v in answer.getheaders() if n.lower() not in _HOP)
        length_said = answer.getheader("content-length", "")
        size = int(length_said) if length_said.isdigit() else None
        if request.method == "HEAD" or answer.status in _NO_BODY:
            answer.read()
            self._keep(connection)
            return Response(answer.status, kept, length=size or 0)
        if size is not None and size <= PIECE:
            data = answer.read()
            self._keep(connection)
            return Response(answer.status, kept, data)
        return Response(answer.status, kept, stream=self._pieces(connection, answer), length=size)

    def _send(
        self, method: str, target: str, body: bytes | IO[bytes], headers: dict[str, str]
    ) -> tuple[_Connection, http.client.HTTPResponse]:
        while True:
            with self._lock:
                connection = self._idle.pop() if self._idle else None
            used = connection is not None
            connection = connection or _Connection(self.socket_path)
            try:
                if not isinstance(body, bytes):
                    body.seek(0)
                connection.request(method, target, body=body, headers=headers)
                return connection, connection.getresponse()
            except (OSError, http.client.NotConnected) as error:
                connection.close()
                if not used:  # one that was kept may have been closed at its other end meanwhile
                    raise AwsError("UNAVAILABLE", f"The registry is not available: {error}", 503) from error
            except BaseException:
                connection.close()
                raise

    def _pieces(self, connection: _Connection, answer: http.client.HTTPResponse) -> Iterator[bytes]:
        try:
            while piece := answer.read(PIECE):
                yield piece
        except BaseException:
            connection.close()
            raise
        self._keep(connection)

    def _keep(self, connection: _Connection) -> None:
        with self._lock:
            self._idle.append(connection)


class _Connection(http.client.HTTPConnection):
    """HTTP by a socket in the file system."""

    def __init__(self, path: Path) -> None:
        super().__init__("registry", timeout=ANSWER_SECONDS)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(ANSWER_SECONDS)
        self.sock.connect(str(self._path))  # whoever called closes it when this fails
