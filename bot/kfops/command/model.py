"""Every command there is, as a value. The union is closed: mypy names each `match` that forgets one.

A value checks itself when it is made, so a command read back from the ledger passes the same rules as one typed
into a comment. Nothing here says who may do what (`catalog`) or whether it may happen now (`kfops.rules.gate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import ClassVar

from kfops.command import duration, identifiers
from kfops.domain.operation import Kind

Assignments = tuple[tuple[str, str], ...]
PRODUCTION = "production"


class CanaryAction(StrEnum):
    STATUS = "status"
    PAUSE = "pause"
    RESUME = "resume"
    PROMOTE = "promote"
    ABORT = "abort"


class Skip(StrEnum):
    """The gates that `--force` can name. Permission, commit, lock and check are not among them (R19)."""

    UP_TO_DATE = "up-to-date"
    CHECKS = "checks"
    APPROVAL = "approval"
    STAGING = "staging"
    GATES = "gates"


def _check_set(assignments: Assignments) -> None:
    names = [name for name, _ in assignments]
    for name, value in assignments:
        identifiers.identifier("--set", name)
        identifiers.value("--set", value)
        if names.count(name) > 1:
            raise identifiers.InvalidValue("--set", name, "each parameter once")


def _check_reason(reason: str) -> None:
    identifiers.value("--reason", reason)
    if not reason.strip():
        raise identifiers.InvalidValue("--reason", reason, 'why, for those who read it later: --reason "…"')


@dataclass(frozen=True)
class Build:
    kind: ClassVar[Kind] = Kind.BUILD
    set: Assignments = ()

    def __post_init__(self) -> None:
        _check_set(self.set)


@dataclass(frozen=True)
class Run:
    """`package` None: the last package that was built for this commit."""

    kind: ClassVar[Kind] = Kind.RUN
    set: Assignments = ()
    package: str | None = None

    def __post_init__(self) -> None:
        _check_set(self.set)
        if self.package is not None:
            identifiers.identifier("--package", self.package)


@dataclass(frozen=True)
class BuildRun:
    kind: ClassVar[Kind] = Kind.BUILD_RUN
    set: Assignments = ()

    def __post_init__(self) -> None:
        _check_set(self.set)


@dataclass(frozen=True)
class StagingDeploy:
    """`run` None: the last succeeded run of this commit."""

    kind: ClassVar[Kind] = Kind.STAGING_DEPLOY
    run: str | None = None

    def __post_init__(self) -> None:
        if self.run is not None:
            identifiers.identifier("--run", self.run)


@dataclass(frozen=True)
class Deploy:
    """`sha`: the commit that the author means. `force`: the gates to skip, never without a reason (R19)."""

    kind: ClassVar[Kind] = Kind.DEPLOY
    environment: str = PRODUCTION
    run: str | None = None
    sha: str | None = None
    force: tuple[Skip, ...] = ()
    reason: str | None = None

    def __post_init__(self) -> None:
        identifiers.identifier("ENV", self.environment)
        if self.run is not None:
            identifiers.identifier("--run", self.run)
        if self.sha is not None:
            identifiers.commit_prefix("--sha", self.sha)
        if self.reason is not None:
            _check_reason(self.reason)
        elif self.force:
            raise identifiers.InvalidValue("--reason", "", 'a reason with --force: --reason "…"')


@dataclass(frozen=True)
class Rollback:
    """`to` None: the last good revision."""

    reason: str
    kind: ClassVar[Kind] = Kind.ROLLBACK
    environment: str = PRODUCTION
    to: str | None = None

    def __post_init__(self) -> None:
        identifiers.identifier("ENV", self.environment)
        _check_reason(self.reason)
        if self.to is not None:
            identifiers.identifier("--to", self.to)


@dataclass(frozen=True)
class CanaryControl:
    action: CanaryAction
    kind: ClassVar[Kind] = Kind.CANARY


@dataclass(frozen=True)
class Status:
    kind: ClassVar[Kind] = Kind.STATUS


@dataclass(frozen=True)
class Cancel:
    """`operation` None: whatever is under way on this pull request."""

    kind: ClassVar[Kind] = Kind.CANCEL
    operation: int | None = None

    def __post_init__(self) -> None:
        if self.operation is not None:
            identifiers.number("OPERATION", str(self.operation))


@dataclass(frozen=True)
class Lock:
    """`for_` None: until somebody unlocks it."""

    environment: str
    reason: str
    kind: ClassVar[Kind] = Kind.LOCK
    for_: timedelta | None = None

    def __post_init__(self) -> None:
        identifiers.identifier("ENV", self.environment)
        _check_reason(self.reason)
        if self.for_ is not None and not timedelta() < self.for_ <= duration.LONGEST:
            raise identifiers.InvalidValue("--for", duration.format_duration(self.for_), duration.RULE)


@dataclass(frozen=True)
class Unlock:
    environment: str
    kind: ClassVar[Kind] = Kind.UNLOCK

    def __post_init__(self) -> None:
        identifiers.identifier("ENV", self.environment)


@dataclass(frozen=True)
class OkToTest:
    sha: str
    kind: ClassVar[Kind] = Kind.OK_TO_TEST

    def __post_init__(self) -> None:
        identifiers.commit("SHA", self.sha)


@dataclass(frozen=True)
class Help:
    kind: ClassVar[Kind] = Kind.HELP


Plannable = (
    Build | Run | BuildRun | StagingDeploy | Deploy | Rollback | CanaryControl | Status | Cancel
    | Lock | Unlock | OkToTest | Help
)  # fmt: skip


@dataclass(frozen=True)
class Plan:
    """What `command` would do now, and which gate would refuse it, without doing it."""

    command: Plannable
    kind: ClassVar[Kind] = Kind.PLAN


Command = Plannable | Plan


class Mistake(StrEnum):
    """What was wrong with a line: stable codes."""

    UNKNOWN_COMMAND = "unknown_command"
    UNKNOWN_FLAG = "unknown_flag"
    REPEATED_FLAG = "repeated_flag"
    MISSING_VALUE = "missing_value"
    UNWANTED_VALUE = "unwanted_value"
    MISSING_ARGUMENT = "missing_argument"
    UNEXPECTED_ARGUMENT = "unexpected_argument"
    BAD_VALUE = "bad_value"
    BAD_QUOTE = "bad_quote"
    TOO_LONG = "too_long"
    TOO_MANY = "too_many"


@dataclass(frozen=True)
class Problem:
    """A line that was meant for the bot and cannot be read.

    `line` counts from 1; `start` and `end` are offsets in that line, from 0, `end` exclusive; `text` is the line.
    `message`, `hint` and `text` hold pieces of the comment: whoever renders them escapes them (R15).
    """

    line: int
    start: int
    end: int
    message: str
    hint: str
    reason_code: Mistake
    text: str = ""
    kind: ClassVar[Kind] = Kind.MISTAKE

    def pointed(self) -> str:
        """The line with carets under what is wrong: two lines for a fixed-width font."""
        return f"{self.text}\n{' ' * self.start}{'^' * max(1, self.end - self.start)}"
