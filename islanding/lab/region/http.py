"""Serves HTTP/1.1, in the clear or over TLS, on a socket that is already listening, wherever it was born."""

from __future__ import annotations

import contextlib
import http.server
import socket
import ssl
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

MAX_BODY = 64 * 1024 * 1024  # bytes; the largest a caller may send in one request
HANDSHAKE_SECONDS = 10.0
IDLE_SECONDS = 60.0  # an open connection without a request is closed after this
MAX_CONNECTIONS = 256  # beyond it, callers wait in the listening socket's queue


@dataclass(frozen=True)
class Request:
    """One request as received: raw (percent-encoded) path and query, headers with lower-case names, peer's address."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    peer: tuple[str, int] = ("", 0)


@dataclass(frozen=True)
class Response:
    """One reply: status code, headers (Content-Length is added on the wire) and body."""

    status: int
    headers: tuple[tuple[str, str], ...] = ()
    body: bytes = b""


Handler = Callable[[Request], Response]


class HttpServer:
    """A bounded, threaded server over a listening socket, which it owns from now on.

    `handler` is called in the connection's thread; what it raises is given to `on_error` and answered by a plain 500.
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
    ) -> None:
        self.handler = handler
        self.on_error = on_error
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

    def __init__(self, sock: socket.socket, peer: tuple[str, int], server: HttpServer) -> None:
        super().__init__(sock, peer, server)  # type: ignore[arg-type]  # it only stores the server

    def _answer(self) -> None:
        body = self._body()
        if body is None:
            return
        target = urlsplit(self.path) if self.path.startswith(("http://", "https://")) else None
        raw = (target.path + (f"?{target.query}" if target.query else "")) if target else self.path
        path, _, query = raw.partition("?")
        headers: dict[str, str] = {}
        for name, value in self.headers.items():
            key = name.lower()
            headers[key] = f"{headers[key]},{value}" if key in headers else value
        request = Request(self.command, path, query, headers, body, (self.client_address[0], self.client_address[1]))
        try:
            response = self.server.handler(request)
        except Exception as error:  # a fault of ours must show in the verdict, and must not end the service
            self.server.on_error(f"{request.method} {request.path}: {type(error).__name__}: {error}")
            response = Response(500)
        self._send(response)

    do_GET = do_HEAD = do_PUT = do_POST = do_DELETE = do_PATCH = do_OPTIONS = _answer

    def _body(self) -> bytes | None:
        if "chunked" in self.headers.get("Transfer-Encoding", "").lower():
            self._refuse(411)
            return None
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if length < 0 or length > MAX_BODY:
            self._refuse(400 if length < 0 else 413)
            return None
        body = self.rfile.read(length) if length else b""
        if len(body) < length:
            self.close_connection = True
            return None
        return body

    def _refuse(self, status: int) -> None:
        self.close_connection = True  # the unread body would be taken for the next request
        self._send(Response(status, (("Connection", "close"),)))

    def _send(self, response: Response) -> None:
        self.send_response_only(response.status)
        self.send_header("Date", self.date_time_string())
        for name, value in response.headers:
            if name.lower() not in ("content-length", "date"):
                self.send_header(name, value)
        if response.status not in (204, 304):
            self.send_header("Content-Length", str(len(response.body)))
        self.end_headers_with(b"" if self.command == "HEAD" else response.body)

    def end_headers_with(self, body: bytes) -> None:
        """Send headers and body as one write, so that a small reply is one packet."""
        head: list[bytes] = self._headers_buffer  # type: ignore[attr-defined]  # the stubs leave it out
        head.append(b"\r\n" + body)
        self.flush_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass  # requests are recorded by the handler, with who asked and what for
