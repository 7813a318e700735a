"""Runs the VPCs' resolvers, real dnsmasq, and brings changes into them without a question lost.

Each resolver is two processes. One listens at the VPC's addresses for as long as the VPC has DNS and knows nothing
itself; it asks one behind it that knows everything. For a change of addresses the one behind reads its hosts file
again. For any other change (dnsmasq cannot read wildcards and zones again) a new one is started, the questions are
turned to it by a rule that rewrites their port, and the old one ends after it has answered what it was asked. Telling
the first one of another server instead would lose every question under way, and for two seconds whoever repeats it.
"""

from __future__ import annotations

import contextlib
import itertools
import signal
import socket
import subprocess
import threading
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

from islanding.errors import IslandingError, LabError
from islanding.lab import dns
from islanding.lab.kernel import inside, run_inside
from islanding.lab.namespaces import NETNS, in_netns
from islanding.lab.vpc.names import Resolver
from islanding.lab.vpc.zones import Answers
from islanding.wait import wait_until

_ASKED_PORT = 5300  # the one that listens asks here, wherever the answers are
_BACK_PORTS = (5301, 5302)  # of the one that knows the answers; a change goes from one to the other
_LOCAL = "127.0.0.1"
_MARK = "{number}.generation.resolver.internal"  # a name that tells which answers are in force
_PATIENCE = 5.0  # seconds that one step of a change may take


def front_config(addresses: Iterable[str], log: Path) -> str:
    """The configuration of the process that listens: it passes every question on."""
    return "\n".join(
        [
            "no-resolv", "no-hosts", "cache-size=0", "no-negcache", "bind-dynamic", "user=root", "port=53",
            "dns-forward-max=4096", f"server={_LOCAL}#{_ASKED_PORT}", "log-queries=extra", f"log-facility={log}",
            *(f"listen-address={address}" for address in (*addresses, _LOCAL)), "",
        ]
    )  # fmt: skip


def back_config(answers: Answers, port: int, hosts: Path) -> str:
    """The configuration of the process that knows; whatever it does not know does not exist."""
    lines = [
        "no-resolv", "no-hosts", "cache-size=0", "bind-interfaces", "user=root", f"port={port}", "local-ttl=5",
        "log-facility=/dev/null", f"listen-address={_LOCAL}", f"addn-hosts={hosts}", "local=/#/",
    ]  # fmt: skip
    lines += [f"local=/{zone}/" for zone in answers.zones]
    # Named as one's own beside its address: the AAAA question gets no data then, and not "no such name".
    lines += [f"local=/{pattern}/" for pattern in dict.fromkeys(pattern for pattern, _ in answers.below)]
    lines += [f"address=/{pattern}/{address}" for pattern, address in answers.below]
    lines += [f"cname={alias},{target}" for alias, target in answers.aliases]
    lines += [f"txt-record={name},{_quoted(text)}" for name, text in answers.texts]
    lines += [f"ptr-record={name},{target}" for name, target in answers.pointers]
    return "\n".join([*lines, ""])


def _quoted(text: str) -> str:
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'


def hosts_file(answers: Answers, mark: str) -> str:
    """The hosts file: names with their addresses, and the mark of this generation."""
    return "".join(f"{address} {name}\n" for address, name in (*answers.hosts, ("192.0.2.1", mark)))


def turning(port: int) -> str:
    """nftables text that turns questions to the process at `port`: stateless, so that a switch breaks no answer."""
    rules = [f"ip daddr {_LOCAL} {p} dport {_ASKED_PORT} {p} dport set {port}" for p in ("udp", "tcp")]
    back = ", ".join(map(str, _BACK_PORTS))
    rules += [f"ip saddr {_LOCAL} {p} sport {{ {back} }} {p} sport set {_ASKED_PORT}" for p in ("udp", "tcp")]
    body = "\n".join(["type filter hook output priority -310;", *rules])
    return f"table ip resolver\ndelete table ip resolver\ntable ip resolver {{\nchain turn {{\n{body}\n}}\n}}\n"


class Resolvers:
    """The resolvers of a lab; `folder` takes their files, `logs` the record of what was asked."""

    def __init__(self, folder: Path, logs: Path) -> None:
        self._folder = folder
        self._logs = logs
        self._running: dict[str, _Running] = {}
        self._lock = threading.Lock()
        self._pool = ThreadPoolExecutor(max_workers=4, thread_name_prefix="resolver")
        folder.mkdir(parents=True, exist_ok=True)

    def follow(self, wanted: Iterable[Resolver]) -> None:
        """Have the resolvers answer as wanted; when this returns, they do.

        Raises LabError that names every resolver that could not be brought to it; the others are right.
        """
        with self._lock:
            by_netns = {resolver.netns: resolver for resolver in wanted}
            gone = [netns for netns in self._running if netns not in by_netns]
            for netns in gone:
                self._running.pop(netns).close()
            changed = [r for netns, r in by_netns.items() if not self._is(netns, r)]
            bring = map if len(changed) == 1 else self._pool.map  # the usual change needs no other thread
            failures = list(bring(self._bring, changed))
            if any(failures):
                raise LabError("resolvers are not as EC2 and Route 53 say: " + "; ".join(filter(None, failures)))

    def close(self) -> None:
        """End every resolver."""
        with self._lock:
            for running in self._running.values():
                running.close()
            self._running.clear()
            self._pool.shutdown()

    def _is(self, netns: str, wanted: Resolver) -> bool:
        running = self._running.get(netns)
        return running is not None and running.now == wanted and running.alive()

    def _bring(self, wanted: Resolver) -> str:
        """Bring one resolver to what is wanted; returns what went wrong."""
        running = self._running.get(wanted.netns)
        try:
            if running is not None and running.alive() and running.now.addresses == wanted.addresses:
                running.change(wanted)
                return ""
            if running is not None:
                self._running.pop(wanted.netns).close()
            running = _Running(wanted, self._folder, self._logs)
            self._running[wanted.netns] = running
            running.begin()
        except (IslandingError, OSError) as error:
            if (broken := self._running.pop(wanted.netns, None)) is not None:
                broken.close()  # the next change, or the next look, starts it anew
            return f"{wanted.netns}: {error}"
        return ""


@dataclass
class _Back:
    """The process that knows: its port, files and answers."""

    port: int
    config: Path
    hosts: Path
    process: subprocess.Popen[bytes]


@dataclass
class _Running:
    """One resolver that runs in a network namespace."""

    now: Resolver
    folder: Path
    logs: Path
    _number: int = 0
    _home: int = 0  # the namespace itself: it may be made anew under the same name
    _front: subprocess.Popen[bytes] | None = None
    _back: _Back | None = None
    _socket: socket.socket | None = field(default=None, repr=False)

    def alive(self) -> bool:
        """Whether both processes run, in the namespace that has the name now."""
        processes = (self._front, self._back.process if self._back else None)
        return all(p is not None and p.poll() is None for p in processes) and self._home == _inode(self.now.netns)

    def begin(self) -> None:
        """Start both processes and wait until they answer; raises OSError or an IslandingError."""
        self._home = _inode(self.now.netns)
        self._socket = in_netns(self.now.netns, lambda: socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self._start_back()
        config = self._file("front.conf")
        config.write_text(front_config(self.now.addresses, self.logs / f"dns-{self.now.netns}.log"))
        self._front = self._dnsmasq(config)
        self._await(53)

    def change(self, wanted: Resolver) -> None:
        """Bring the answers to what is wanted; raises OSError or an IslandingError."""
        before, self.now = self.now, wanted
        old = self._back
        if old is None or self._front is None:
            raise LabError("it does not run")
        if replace(before.answers, hosts=()) == replace(wanted.answers, hosts=()):
            self._number += 1
            self._write_hosts(old.hosts)
            old.process.send_signal(signal.SIGHUP)
        else:
            self._start_back()
        self._await(53)
        if self._back is not old:
            self._await_turn(old)
            _end(old.process)

    def close(self) -> None:
        """End both processes."""
        for process in (self._front, self._back.process if self._back else None):
            if process is not None:
                _end(process)
        if self._socket is not None:
            self._socket.close()

    def _start_back(self) -> None:
        self._number += 1
        port = _BACK_PORTS[self._number % 2] if self._back is None else _other(self._back.port)
        config, hosts = self._file(f"back-{port}.conf"), self._file(f"hosts-{port}")
        self._write_hosts(hosts)
        config.write_text(back_config(self.now.answers, port, hosts))
        self._back = _Back(port, config, hosts, self._dnsmasq(config))
        self._await(port)
        run_inside(self.now.netns, ["nft", "-f", "-"], stdin=turning(port))

    def _write_hosts(self, path: Path) -> None:
        _replace(path, hosts_file(self.now.answers, _MARK.format(number=self._number)))

    def _await(self, port: int) -> None:
        """Wait until the present generation is what is answered on a port."""
        mark = _MARK.format(number=self._number)
        # What is asked before the process listens is lost: short patience at first, longer where the machine is busy.
        patience = itertools.chain((0.005, 0.01, 0.02, 0.05, 0.1), itertools.repeat(0.5))
        name = f"the resolver of {self.now.netns} to answer"
        wait_until(name, lambda: self._ask(port, mark, next(patience)).data, timeout=_PATIENCE, interval=0.002)

    def _await_turn(self, old: _Back) -> None:
        """Wait until the old process has answered all that it was asked before: it takes one question after another."""
        with contextlib.suppress(OSError):  # it has ended by itself
            self._ask(old.port, "turn.resolver.internal")

    def _ask(self, port: int, name: str, timeout: float = 0.5) -> dns.Answer:
        for process in (self._front, self._back.process if self._back else None):
            if process is not None and process.poll() is not None:
                raise LabError(f"dnsmasq ended with exit code {process.returncode}: {self._said()}")
        if self._socket is None:
            raise LabError("it does not run")
        return dns.ask(self._socket, (_LOCAL, port), name, timeout=timeout)

    def _said(self) -> str:
        return self._file("stderr").read_text(errors="replace").strip()[-500:]

    def _file(self, name: str) -> Path:
        return self.folder / f"dns-{self.now.netns}-{name}"

    def _dnsmasq(self, config: Path) -> subprocess.Popen[bytes]:
        command = ["dnsmasq", "--keep-in-foreground", f"--conf-file={config}", "--pid-file="]
        with self._file("stderr").open("wb") as said:
            return subprocess.Popen(inside(self.now.netns, command), stdin=subprocess.DEVNULL, stdout=said, stderr=said)


def _other(port: int) -> int:
    return _BACK_PORTS[1] if port == _BACK_PORTS[0] else _BACK_PORTS[0]


def _inode(netns: str) -> int:
    try:
        return (NETNS / netns).stat().st_ino
    except OSError:
        return 0


def _replace(path: Path, text: str) -> None:
    """Write a file that is complete whenever it is read."""
    fresh = path.with_name(path.name + ".new")
    fresh.write_text(text)
    fresh.replace(path)


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(timeout=2)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
