"""The data of a run that lie outside of its repository, fetched by the bot: steps get a file, and no right to a storage.

Whether this repository may reach them was asked of the policy before (`reaching`, R10).
"""

from __future__ import annotations

import hashlib
import re
from dataclasses import replace
from pathlib import Path

from kfops.config.meaning import Work
from kfops.domain.facts import DataFact, Refusal, RunFacts
from kfops.domain.operation import Outcome
from kfops.ports.errors import Refused
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context, End, Next, Step

_FETCHED = re.compile(r"s3://")


def fetched(context: Context, facts: RunFacts, work: Work, then: str) -> Step:
    """On to `then` once every parameter that names data outside of the repository has a file here."""
    files = []
    for parameter, location in _outside(facts, work):
        try:
            files.append(DataFact(parameter, str(_file(context, parameter, location))))
        except Refused as error:
            return _not_had(facts, parameter, error)
    return Next(then, replace(facts, data_files=tuple(files)))


def here(context: Context, facts: RunFacts) -> RunFacts:
    """The same files once more, where another replica fetched them. Refused when they cannot be had any more."""
    where = {one.name: one.value for one in facts.parameters}
    files = (
        one
        if Path(one.path).exists()
        else replace(one, path=str(_file(context, one.parameter, where[one.parameter])))
        for one in facts.data_files
    )
    return replace(facts, data_files=tuple(files))


def _outside(facts: RunFacts, work: Work) -> list[tuple[str, str]]:
    """Addresses, wherever they stand, and a path of this machine's where kfops.yaml says that it is the data. What the
    pipeline itself names as a default counts like what a comment names.
    """
    known = work.data.parameter if work.data else ""
    return [
        (one.name, one.value)
        for one in facts.parameters
        if _FETCHED.match(one.value) or (one.name == known and Path(one.value).is_absolute())
    ]


def _file(context: Context, parameter: str, location: str) -> Path:
    if not _FETCHED.match(location):
        return Path(location)
    files = context.ports.data_files
    if files is None:
        raise Refused(
            "this server fetches no data from storage", fix="Ask the operator of Kfops for KFOPS_STORAGE=s3."
        )
    # The parameter's name is the pull request's: it is no part of a path.
    place = hashlib.sha256(parameter.encode()).hexdigest()[:16]
    folder = context.options.data_dir / "scratch" / str(context.operation.id) / "data" / place
    target = folder / location.rpartition("/")[2]
    if target.is_file():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    return files.fetch(location, folder)


def _not_had(facts: RunFacts, parameter: str, error: Refused) -> End:
    why = Refusal(
        ReasonCode.OUTSIDE_REFUSED.value, f"The data of `{parameter}` cannot be had: {error}.", fix=error.fix
    )
    return End(Outcome.REFUSED, ReasonCode.OUTSIDE_REFUSED, replace(facts, refusal=why))
