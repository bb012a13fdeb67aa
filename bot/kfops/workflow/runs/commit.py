"""What the pinned commit brings: its kfops.yaml, and the files that it names. Untrusted, all of it."""

from __future__ import annotations

from pathlib import Path

from kfops.config.errors import ConfigError
from kfops.config.load import work_of
from kfops.config.meaning import Work
from kfops.domain.facts import Refusal
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context
from kfops.workflow.gathering import CONFIG, checkout


def file_of(source: Path, name: str) -> Path | None:
    """A regular file of the checkout, reached without a link (R11)."""
    place = source.resolve() / name
    return place if place.is_file() and place.resolve() == place else None


def config(context: Context) -> bytes | None:
    """kfops.yaml as the commit has it; None where it has none."""
    file = file_of(context.source_dir, CONFIG)
    return file.read_bytes() if file else None


def work(context: Context) -> Work | Refusal:
    """The work half of kfops.yaml; or what is wrong with it."""
    checkout(context)
    content = config(context)
    if content is None:
        return Refusal(
            ReasonCode.CONFIG_MISSING.value,
            f"There is no `{CONFIG}` at this commit.",
            "no file",
            f"`{CONFIG}` at the root of the repository",
            "`kfc init .` makes one.",
        )
    try:
        return work_of(content)
    except ConfigError as error:
        return Refusal(
            ReasonCode.CONFIG_INVALID.value, f"`{CONFIG}` at this commit has errors.", detail=str(error)
        )
