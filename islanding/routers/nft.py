"""nftables text that drops packets in a table of our own, deleted whole: rules of others are never touched."""

from __future__ import annotations

from collections.abc import Sequence

# Before connection tracking (-200) on the way in, after address translation (100) on the way out: what is dropped is
# what is on the wire, and connections already tracked are cut too. Priorities: nft(8), "standard priority names".
_FIRST, _LAST = -300, 300


def table_name(id: str) -> str:
    """The table's name for a fault id."""
    return f"islanding_{id}"


def drop_text(table: str, *, incoming: Sequence[str], outgoing: Sequence[str]) -> str:
    """What adds a table with these rules (each a match and a verdict), whole or not at all."""
    chains = [
        f" chain incoming {{\n  type filter hook prerouting priority {_FIRST}; policy accept;\n{_lines(incoming)} }}",
        f" chain outgoing {{\n  type filter hook postrouting priority {_LAST}; policy accept;\n{_lines(outgoing)} }}",
    ]
    return f"table inet {table} {{\n" + "\n".join(chains) + "\n}\n"


def remove_text(table: str) -> str:
    """What removes the table; adding it first lets it succeed when the table is gone already."""
    return f"add table inet {table}\ndelete table inet {table}\n"


def _lines(rules: Sequence[str]) -> str:
    return "".join(f"  {rule}\n" for rule in rules)
