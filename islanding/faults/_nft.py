"""Dropping packets with an nftables table of our own, which undo deletes whole: rules of others are never touched."""

from __future__ import annotations

from islanding.faults._fault import Health
from islanding.faults._plan import Command, run_as_root
from islanding.model import Site
from islanding.routers import nft


def table_name(id: str) -> str:
    """The table's name for a fault id."""
    return nft.table_name(id)


def drop_table(place: str, table: str, *, incoming: list[str], outgoing: list[str]) -> Command:
    """The step that adds a table with these rules (each a match and a verdict), whole or not at all."""
    text = nft.drop_text(table, incoming=incoming, outgoing=outgoing)
    return Command(place=place, argv=("nft", "-f", "-"), stdin=text)


def remove_table(place: str, table: str) -> Command:
    """The step that removes the table, also when it is gone already."""
    return Command(place=place, argv=("nft", "-f", "-"), stdin=nft.remove_text(table))


def table_is_gone(site: Site, place: str, table: str) -> Health:
    """Whether the table is gone; raises CommandFailed when nft cannot be asked, which is no proof of absence."""
    listed = run_as_root(site.place(place), ("nft", "list", "tables")).stdout.split()
    there = table in listed
    return Health(not there, f"{'drop table is still there' if there else 'no drop table'} at {place}")


def table_is_there(site: Site, place: str, table: str) -> Health:
    """The opposite of `table_is_gone`."""
    gone = table_is_gone(site, place, table)
    return Health(not gone.ok, gone.seen)
