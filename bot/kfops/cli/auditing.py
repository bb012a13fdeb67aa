"""`kfops audit`: the trail as lines and as JSON."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import asdict
from typing import Any

from kfops.cli.exits import Exit, Stop
from kfops.ports.ledger import Ledger
from kfops.rules.replies.view import without_secrets

Said = tuple[dict[str, Any], list[str]]


def verified(ledger: Ledger) -> Said:
    """Of every repository; Stop where a chain is broken."""
    found = {name: ledger.verify(identity) for identity, name, _ in ledger.repositories()}
    broken = [f"{name}: {problem}" for name, problem in found.items() if problem]
    if broken:
        raise Stop(Exit.RUN_FAILED, *broken, detail={"repositories": found})
    lines = [f"{name}: the trail is whole" for name in found] or ["The ledger knows no repository yet."]
    return {"repositories": found}, lines


def shown(ledger: Ledger, secrets: Collection[str], pull_request: int, name: str) -> Said:
    """Without its secrets (R15): what was typed is foreign text, and a terminal obeys its control characters."""
    entries = without_secrets(ledger.trail(_repository(ledger, name), pull_request), secrets)
    lines = [
        f"{one.at:%Y-%m-%d %H:%M:%S}Z  {one.actor}  {one.action}  {json.dumps(dict(one.detail), ensure_ascii=False)}"
        for one in entries
    ]
    return {"entries": [asdict(one) for one in entries]}, lines or ["Nothing is written down about it."]


def _repository(ledger: Ledger, name: str) -> int:
    known = ledger.repositories()
    fitting = [identity for identity, full_name, _ in known if not name or full_name == name]
    if len(fitting) == 1:
        return fitting[0]
    names = ", ".join(full_name for _, full_name, _ in known) or "none"
    raise Stop(
        Exit.USAGE, f"--repository {name or '(not given)'}: expected one that the ledger knows: {names}"
    )
