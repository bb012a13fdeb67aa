"""Files of the commit that kfops.yaml names: looked at before anything is trained, so that nobody waits for a mistake."""

from __future__ import annotations

import csv
import json
from collections.abc import Mapping
from pathlib import Path

from kfops.config.meaning import Work
from kfops.domain.facts import Refusal
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context
from kfops.workflow.runs import commit

LARGEST_SAMPLE = 1 << 20
_LONGEST_HEADER = 1 << 20
_MOST_NAMED = 30


def refused(context: Context, work: Work, overrides: Mapping[str, str]) -> Refusal | None:
    """The first of them that is not what it should be, and what would be. `overrides`: by `--set`."""
    location = overrides.get(work.data.parameter) if work.data else None
    return _sample(context.source_dir, work) or _target(context.source_dir, work, location)


def _sample(source: Path, work: Work) -> Refusal | None:
    if work.sample_request is None:
        return None
    name = work.sample_request
    file = commit.file_of(source, name)
    if file is None:
        return _wrong(
            f"`samples.request` names `{name}`, which is no file of this commit.",
            "nothing",
            "a request as JSON",
        )
    if file.stat().st_size > LARGEST_SAMPLE:
        return _wrong(
            f"`{name}` is too large for a sample request.",
            f"{file.stat().st_size} bytes",
            f"at most {LARGEST_SAMPLE} bytes",
        )
    try:
        json.loads(file.read_bytes())
    except (ValueError, RecursionError) as error:
        return _wrong(
            f"`{name}` is no JSON.",
            str(error)[:200],
            'a request as callers send it, such as {"instances": [...]}',
        )
    return None


def _target(source: Path, work: Work, chosen: str | None) -> Refusal | None:
    """Only of a table in the repository whose first line names its columns: other formats are the pipeline's to read."""
    if work.data is None:
        return None
    location = chosen or work.pipeline.parameters.get(work.data.parameter)
    file = (
        commit.file_of(source, location) if isinstance(location, str) and location.endswith(".csv") else None
    )
    if file is None:
        return None
    with file.open(encoding="utf-8-sig", errors="replace", newline="") as lines:
        columns = next(csv.reader([lines.readline(_LONGEST_HEADER)]), [])
    if work.data.target in columns:
        return None
    named = ", ".join(columns[:_MOST_NAMED]) or "no columns"
    return _wrong(f"`{location}` has no column `{work.data.target}` (data.target).", named, work.data.target)


def _wrong(sentence: str, found: str, expected: str) -> Refusal:
    return Refusal(
        ReasonCode.CONFIG_INVALID.value, sentence, found, expected, "Mend the file or `kfops.yaml`, and push."
    )
