"""Serves HTTP/1.1, in the clear or over TLS, on a socket that is already listening, wherever it was born."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import IO, cast
from urllib.parse import urlsplit

from islanding.lab.region import bodies
from islanding.lab.vpc.door import Via

HANDSHAKE_SECONDS = 10.0
IDLE_SECONDS = 60.0  # an open connection without a request is closed after this
MAX_CONNECTIONS = 256  # beyond it, callers wait in the listening socket's queue


@dataclass(frozen=True)
class Request:
    """One request as received: raw (percent-encoded) path and query, headers with lower-case names, peer's address.

    `upload` holds a body that is too large for memory, and `body` is then empty. `via` is the way by which it came.
    """

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: tuple[str, int] = ("", 0)
    upload: IO[bytes] | None = field(default=None, compare=False)
    via: Via = field(default_factory=Via)


@dataclass(frozen=True)
class Response:
    """One reply: status code, headers (Content-Length is added on the wire) and body.

    `hops`: how many IP hops the reply's packets may go; 0 leaves it to the system. `stream` is a body that is sent
    piece by piece in place of `body`. `length` is its size in bytes, if known, and what a reply to HEAD says.
    """

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""
    hops: int = 0
    stream: Iterable[bytes] | None = field(default=None, compare=False)
    length: int | None = None

    def header(self, name: str) -> str:
        """The first header of that name, in any case; empty when there is none."""
        return next((value for given, value in self.headers if given.lower() == name.lower()), "")


Handler = Callable[[Request], Response]


class HttpServer:
    """A bounded, threaded server over a listening socket, which it owns from now on.

    `handler` is called in the connection's thread; what it raises is given to `on_error` and answered by a plain 500.
    `via` is asked for each request by which way its caller came.
    """

    def __init__(
        self,
        listener: socket.socket,
        handler: Handler,
        *,
        tls: ssl.SSLContext | None = None,
        name: str = "http",
        on_error: Callable[[str], None],
        max_connections: int = MAX_CONNECTIONS,
        via: Callable[[], Via] = Via,
    ) -> None:
        self.handler = handler
        self.on_error = on_error
        self.via = via
        self._listener = listener
        self._tls = tls
        self._name = name
        self._slots = threading.BoundedSemaphore(max_connections)
        self._lock = threading.Lock()
        self._open: set[socket.socket] = set()
        self._closed = False
        self._acceptor = threading.Thread(target=self._accept, name=f"{name}-accept", daemon=True)

    def start(self) -> HttpServer:
        """Begin to accept connections; returns itself."""
        self._acceptor.start()
        return self

    @property
    def closed(self) -> bool:
        """Whether it has been closed."""
        return self._closed

    def close(self) -> None:
        """Stop accepting, close every connection and the listening socket; safe to call twice."""
        with self._lock:
            self._closed = True
            still_open = list(self._open)
        for sock in (self._listener, *still_open):
            with contextlib.suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)  # wakes the thread that blocks on it
        self._listener.close()
        if self._acceptor.is_alive():
            self._acceptor.join(timeout=2)

    def _accept(self) -> None:
        while True:
            self._slots.acquire()
            try:
                sock, peer = self._listener.accept()
            except OSError as error:
                self._slots.release()
                if self._closed or self._listener.fileno() < 0:
                    return
                self.on_error(f"{self._name}: accept: {error}")
                if not isinstance(error, ConnectionError):
                    return
                continue
            threading.Thread(target=self._converse, args=(sock, peer), name=self._name, daemon=True).start()

    def _converse(self, raw: socket.socket, peer: tuple[str, int]) -> None:
        with self._lock:
            if self._closed:
                raw.close()
                return
            self._open.add(raw)
        sock = raw
        try:
            raw.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            if self._tls is not None:
                # the handshake is made here, not while accepting: a peer that went silent must not stop the others
                raw.settimeout(HANDSHAKE_SECONDS)
                sock = self._tls.wrap_socket(raw, server_side=True)
                with self._lock:
                    self._open.discard(raw)
                    self._open.add(sock)
            sock.settimeout(IDLE_SECONDS)
            _Connection(sock, peer, self)
        except (OSError, ValueError):
            pass  # the peer left, went silent or spoke no TLS: its own business, and common while links are cut
        finally:
            with self._lock:
                self._open.discard(raw)
                self._open.discard(sock)
            sock.close()
            self._slots.release()


class _Connection(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: HttpServer  # type: ignore[assignment]  # BaseHTTPRequestHandler only stores it
    _hops = 0

    def __init__(self, sock: socket.socket, peer: tuple[str, int], server: HttpServer) -> None:
        super().__init__(sock, peer, server)  # type: ignore[arg-type]  # it only stores the server

    def _answer(self) -> None:
        received = self._body()
        if received is None:
            return
        body, upload = received
        target = urlsplit(self.path) if self.path.startswith(("http://", "https://")) else None
        raw = (target.path + (f"?{target.query}" if target.query else "")) if target else self.path
        path, _, query = raw.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        peer = (self.client_address[0], self.client_address[1])
        try:
            request = Request(self.command, path, query, headers, body, peer, upload, self.server.via())
            try:
                response = self.server.handler(request)
            except Exception as error:  # a fault of ours must show in the verdict, and must not end the service
                self.server.on_error(f"{self.command} {path}: {type(error).__name__}: {error}")
                response = Response(500)
            self._send(response)
        finally:
            if upload is not None:
                upload.close()

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _answer

    def _body(self) -> tuple[bytes, IO[bytes] | None] | None:
        length, coding = self.headers.get("Content-Length", ""), self.headers.get("Transfer-Encoding", "")
        try:
            return bodies.receive(cast("IO[bytes]", self.rfile), length, coding)
        except bodies.Refused as refused:
            self._refuse(refused.status)
        except EOFError:
            self.close_connection = True
        return None

    def _refuse(self, status: int) -> None:
        self.close_connection = True  # the unread body would be taken for the next request
        self._send(Response(status, (("Connection", "close"),)))

    def _send(self, response: Response) -> None:
        if response.hops != self._hops:
            # -1 is the system's own; it stays for what the kernel sends again of this reply
            self.connection.setsockopt(socket.IPPROTO_IP, socket.IP_TTL, response.hops or -1)
            self._hops = response.hops
        self.send_response_only(response.status)
        self.send_header("Date", self.date_time_string())
        for name, value in response.headers:
            if name.lower() not in ("content-length", "date"):
                self.send_header(name, value)
        length = len(response.body) if response.stream is None else None
        length = length if response.length is None else response.length
        chunked = length is None
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif response.status not in (204, 304):
            self.send_header("Content-Length", str(length))
        self.end_headers_with(b"" if self.command == "HEAD" else response.body)
        if response.stream is not None:
            self._send_stream(response.stream, chunked=chunked)

    def _send_stream(self, stream: Iterable[bytes], *, chunked: bool) -> None:
        try:
            for piece in stream if self.command != "HEAD" else ():
                self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if chunked and piece else piece)
            if chunked and self.command != "HEAD":
                self.wfile.write(b"0\r\n\r\n")
        except BaseException:
            self.close_connection = True  # what was promised does not come: only the end of the connection says so
            raise
        finally:
            close = getattr(stream, "close", None)
            if close is not None:
                close()

    def end_headers_with(self, body: bytes) -> None:
        """Send headers and body as one write, so that a small reply is one packet."""
        head: list[bytes] = self._headers_buffer  # type: ignore[attr-defined]  # the stubs leave it out
        head.append(b"\r\n" + body)
        self.flush_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass  # requests are recorded by the handler, with who asked and what for
