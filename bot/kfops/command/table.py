"""The catalogue as a Markdown table, for the README."""

from __future__ import annotations

from kfops.command.catalog import ENTRIES


def commands_table() -> str:
    """One row a command, in the catalogue's order; a test holds the README against it."""
    rows = [
        f"| `{entry.usage.replace('|', chr(92) + '|')}` | {entry.summary} | {entry.permission.name.lower()} |"
        for entry in ENTRIES
    ]
    return "\n".join(("| command | what it does | who, by default |", "|---|---|---|", *rows)) + "\n"
