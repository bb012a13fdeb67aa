"""One request to GitHub's REST API, before it is sent."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from kfops.adapters.github.answer import Answer


@dataclass(frozen=True)
class Call:
    """One request. `template` has no host; `names` fill it.

    `reads_as` tells apart whose view an answer is; `payer` is the account whose rate limit it counts against.
    """

    method: str
    template: str
    names: Mapping[str, str | int] = field(default_factory=dict)
    query: Mapping[str, str | int] = field(default_factory=dict)
    body: Any = None
    reads_as: str = ""
    payer: str = ""

    @property
    def what(self) -> str:
        return f"{self.method} {self.template}"

    @property
    def path(self) -> str:
        return re.sub(r"\{(\w+)\}", lambda match: _quoted(match[1], self.names[match[1]]), self.template)


def _quoted(name: str, value: str | int) -> str:
    return quote(str(value), safe="/" if name == "path" else "")


def following(call: Call, answer: Answer) -> Call | None:
    """The call for the next page, by the Link header; None where this was the last."""
    for part in answer.headers.get("link", "").split(","):
        address, _, relation = part.partition(";")
        if 'rel="next"' in relation:
            query = dict(parse_qsl(urlsplit(address.strip().strip("<>")).query))
            return replace(call, query=query)
    return None
