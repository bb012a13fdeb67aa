"""Foreign text where no Markdown is read: what a deployment's status says, beside the reply."""

from __future__ import annotations

from collections.abc import Collection

from kfops.rules.replies.foreign import one_line, quiet
from kfops.rules.replies.secrecy import mask

LIMIT = 140  # characters; GitHub takes no more of a deployment's status


def description(text: str, secrets: Collection[str]) -> str:
    """One line without secrets, that mentions nobody. Masked before it is cut: half a secret is not recognised."""
    line = quiet(one_line(mask(text, secrets)))
    return line if len(line) <= LIMIT else f"{line[: LIMIT - 1]}…"
