"""A kernel of dictionaries that plays scripts: what iproute2's lines would do, and what disappears with what."""

from __future__ import annotations

from dataclasses import dataclass, field

from islanding.lab.script import Script


class Refused(Exception):
    """The real kernel would have said no."""


@dataclass
class PlayedKernel:
    """Namespaces, interfaces, addresses, routes, rules, neighbours and filters."""

    namespaces: set[str] = field(default_factory=set)
    sysctls: dict[str, tuple[str, ...]] = field(default_factory=dict)
    links: dict[tuple[str, str], tuple[object, ...]] = field(default_factory=dict)  # peer, kind and attributes
    up: set[tuple[str, str]] = field(default_factory=set)
    addresses: set[tuple[str, str, str]] = field(default_factory=set)
    routes: dict[tuple[str, str, str, str], tuple[str, str]] = field(default_factory=dict)
    rules: set[tuple[str, str]] = field(default_factory=set)
    neighbours: set[tuple[str, str, str, str]] = field(default_factory=set)
    filters: dict[tuple[str, str], str] = field(default_factory=dict)

    def play(self, script: Script) -> PlayedKernel:
        """Do what a script says, in its order; raises Refused as the kernel would."""
        for netns, lines in script.remove.items():
            for line in lines:
                self._remove(netns, line.split())
        for line in script.delete:
            self._delete(line)
        for name in script.add:
            self._need(name not in self.namespaces, f"{name} exists")
            self.namespaces.add(name)
        for name, values in script.sysctls.items():
            self._need(name in self.namespaces, f"no namespace {name}")
            self.sysctls[name] = tuple(values)
        for line in script.create:
            self._create(line.split())
        for home, lines in script.send.items():
            self._need(home in self.namespaces, f"no namespace {home}")
            for line in lines:
                self._send(line.split())
        for netns, lines in script.inside.items():
            self._need(netns in self.namespaces, f"no namespace {netns}")
            for line in lines:
                self._inside(netns, line.split())
        for netns, text in script.nft.items():
            self._need(netns in self.namespaces, f"no namespace {netns}")
            self._nft(netns, text)
        return self

    def _need(self, holds: bool, why: str) -> None:
        if not holds:
            raise Refused(why)

    def _delete(self, name: str) -> None:
        for end in [end for end in self.links if end[0] == name]:
            self._drop_link(end)
        self.namespaces.discard(name)
        self.sysctls.pop(name, None)
        self.rules = {rule for rule in self.rules if rule[0] != name}
        self.routes = {key: to for key, to in self.routes.items() if key[0] != name}
        self.addresses = {a for a in self.addresses if a[0] != name}
        self.filters = {key: text for key, text in self.filters.items() if key[0] != name}

    def _drop_link(self, end: tuple[str, str]) -> None:
        peer = self.links.pop(end, (None,))[0]
        self._flush(end)
        self.up.discard(end)
        self.addresses = {a for a in self.addresses if a[:2] != end}
        if isinstance(peer, tuple) and peer in self.links:
            self._drop_link(peer)

    def _flush(self, end: tuple[str, str]) -> None:
        """What goes when an interface goes, or loses an address."""
        self.routes = {key: to for key, to in self.routes.items() if (key[0], to[1]) != end}
        self.neighbours = {n for n in self.neighbours if n[:2] != end}

    def _remove(self, netns: str, words: list[str]) -> None:
        match words:
            case ["link", "del", name]:
                self._drop_link((netns, name))
            case ["addr", "del", address, "dev", name]:
                self.addresses.discard((netns, name, address))
                self._flush((netns, name))
            case ["neigh", "del", address, "dev", name]:
                self.neighbours = {n for n in self.neighbours if n[:3] != (netns, name, address)}
            case ["route", "del", *rest]:
                key, _ = self._route(netns, rest)
                self.routes.pop(key, None)
            case ["rule", "del", *rest]:
                self.rules.discard((netns, " ".join(rest)))
            case _:
                raise Refused(" ".join(words))

    def _create(self, words: list[str]) -> None:
        at = words.index("peer")
        ends = []
        for name, rest in ((words[2], words[3:at]), (words[at + 2], words[at + 3 :])):
            options = dict(zip(rest[::2], rest[1::2], strict=False))
            netns = options.pop("netns")
            options.pop("type", None)
            self._need(netns in self.namespaces and (netns, name) not in self.links, f"{netns} {name}")
            ends.append(((netns, name), tuple(sorted(options.items()))))
        (a, of_a), (b, of_b) = ends
        self.links[a], self.links[b] = (b, *of_a), (a, *of_b)

    def _send(self, words: list[str]) -> None:
        name, netns = words[2], words[4]
        self._need(netns in self.namespaces and (netns, name) not in self.links, f"{netns} {name}")
        self.links[netns, name] = (None, *words[5:])

    def _inside(self, netns: str, words: list[str]) -> None:
        match words:
            case ["link", "set", "lo", "up"] | ["ntable", *_]:
                return
            case ["link", "add", name, "type", *kind]:
                self._need((netns, name) not in self.links, f"{netns} {name} exists")
                self.links[netns, name] = (None, *kind)
            case ["link", "set", name, *_, "up"]:
                self._need((netns, name) in self.links, f"no {netns} {name}")
                self.up.add((netns, name))
            case ["link", "set", name, "master", master]:
                self._need((netns, name) in self.links and (netns, master) in self.links, f"no {netns} {name}")
            case ["addr", "add", address, "dev", name]:
                there = name == "lo" or (netns, name) in self.links
                self._need(there and (netns, name, address) not in self.addresses, f"address {netns} {name} {address}")
                self.addresses.add((netns, name, address))
            case ["neigh", "replace", address, "lladdr", mac, "nud", "permanent", "dev", name]:
                self._need((netns, name) in self.up, f"{netns} {name} is not up")
                self.neighbours.add((netns, name, address, mac))
            case ["route", "replace", *rest]:
                key, (via, device) = self._route(netns, rest)
                self._need(not device or (netns, device) in self.up, f"{netns} {device} is not up")
                self.routes[key] = (via, device)
            case ["rule", "add", *rest]:
                self._need((netns, " ".join(rest)) not in self.rules, f"rule {rest}")
                self.rules.add((netns, " ".join(rest)))
            case _:
                raise Refused(" ".join(words))

    def _route(self, netns: str, words: list[str]) -> tuple[tuple[str, str, str, str], tuple[str, str]]:
        words = [word for word in words if word not in ("blackhole", "onlink")]
        options = dict(zip(words[1::2], words[2::2], strict=True))
        key = (netns, options.get("table", "main"), words[0], options.get("metric", "0"))
        return key, (options.get("via", ""), options.get("dev", ""))

    def _nft(self, netns: str, text: str) -> None:
        for part in text.split("table inet "):
            name, _, rest = part.partition(" {\n")
            if rest:
                self.filters[netns, name] = rest.removesuffix("delete ").removesuffix("flush ")
            elif part.endswith("delete "):
                continue
            elif (words := part.split()) and text.find(f"delete table inet {words[0]}") >= 0:
                self.filters.pop((netns, words[0]), None)
