"""Dropping packets with an nftables table of our own, which undo deletes whole: rules of others are never touched."""

from __future__ import annotations

from islanding.faults._fault import Health
from islanding.faults._plan import Command, run_as_root
from islanding.model import Site

# Before connection tracking (-200) on the way in, after address translation (100) on the way out: what is dropped is
# what is on the wire, and connections already tracked are cut too. Priorities: nft(8), "standard priority names".
_FIRST, _LAST = -300, 300


def table_name(id: str) -> str:
    """The table's name for a fault id."""
    return f"islanding_{id}"


def drop_table(place: str, table: str, *, incoming: list[str], outgoing: list[str]) -> Command:
    """The step that adds a table with these rules (each a match and a verdict), whole or not at all."""
    chains = [
        f" chain incoming {{\n  type filter hook prerouting priority {_FIRST}; policy accept;\n{_lines(incoming)} }}",
        f" chain outgoing {{\n  type filter hook postrouting priority {_LAST}; policy accept;\n{_lines(outgoing)} }}",
    ]
    return Command(place=place, argv=("nft", "-f", "-"), stdin=f"table inet {table} {{\n" + "\n".join(chains) + "\n}\n")


def remove_table(place: str, table: str) -> Command:
    """The step that removes the table; adding it first lets it succeed when the table is gone already."""
    stdin = f"add table inet {table}\ndelete table inet {table}\n"
    return Command(place=place, argv=("nft", "-f", "-"), stdin=stdin)


def table_is_gone(site: Site, place: str, table: str) -> Health:
    """Whether the table is gone; raises CommandFailed when nft cannot be asked, which is no proof of absence."""
    listed = run_as_root(site.place(place), ("nft", "list", "tables")).stdout.split()
    there = table in listed
    return Health(not there, f"{'drop table is still there' if there else 'no drop table'} at {place}")


def table_is_there(site: Site, place: str, table: str) -> Health:
    """The opposite of `table_is_gone`."""
    gone = table_is_gone(site, place, table)
    return Health(not gone.ok, gone.seen)


def _lines(rules: list[str]) -> str:
    return "".join(f"  {rule}\n" for rule in rules)
