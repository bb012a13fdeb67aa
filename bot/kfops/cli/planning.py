"""`kfc plan`: what a line would be to the bot."""

from __future__ import annotations

from typing import Any

from kfops.cli.exits import Exit, Stop
from kfops.command.catalog import ENTRIES
from kfops.command.model import Problem
from kfops.command.parse import parse_line
from kfops.command.serialise import to_json


def planned(text: str) -> tuple[dict[str, Any], list[str]]:
    """The command as JSON and in lines; Stop where the bot would not obey it."""
    command = parse_line(text)
    if command is None:
        raise Stop(Exit.USAGE, f"The bot would pass over this: {text!r} begins with no command. See /help.")
    if isinstance(command, Problem):
        raise Stop(
            Exit.USAGE,
            command.pointed(),
            f"{command.message} {command.hint}",
            detail={"reason_code": command.reason_code.value, "start": command.start, "end": command.end},
        )
    entry = next(one for one in ENTRIES if one.kind is command.kind)
    content = to_json(command)
    fields = [f"  {name}: {value}" for name, value in content.items() if name != "kind"]
    lines = [
        f"/{entry.name}: {entry.summary}",
        *fields,
        f"By default it takes the role {entry.permission.name.lower()}; kfops.yaml on the default branch decides.",
        f"Which gate would refuse it now is asked in the pull request: comment /plan {text.strip()}",
    ]
    return {
        "command": content,
        "summary": entry.summary,
        "role": entry.permission.name.lower(),
    }, lines
