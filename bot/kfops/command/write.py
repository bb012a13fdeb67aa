"""Commands as people would type them. `parse_line` of the text gives the same value back."""

from __future__ import annotations

import re
from typing import assert_never

from kfops.command import duration, model
from kfops.command.catalog import entry_of

_BARE = re.compile(r"[A-Za-z0-9._/:@%+,-]+")


def as_text(command: model.Command) -> str:
    return " ".join((f"/{entry_of(command).name}", *_words(command)))


def _words(command: model.Command) -> list[str]:  # noqa: C901, PLR0912 - one flat list
    match command:
        case model.Build(set=pairs) | model.BuildRun(set=pairs):
            return _assignments(pairs)
        case model.Run(set=pairs, package=package):
            return [*_assignments(pairs), *_flag("--package", package)]
        case model.StagingDeploy(run=run):
            return _flag("--run", run)
        case model.Deploy():
            forced = [f"--force={','.join(command.force)}"] if command.force else []
            return [
                *([] if command.environment == model.PRODUCTION else [command.environment]),
                *_flag("--run", command.run),
                *_flag("--sha", command.sha),
                *forced,
                *_flag("--reason", command.reason),
            ]
        case model.Rollback(environment=environment, to=to, reason=reason):
            named = [] if environment == model.PRODUCTION else [environment]
            return [*named, *_flag("--to", to), *_flag("--reason", reason)]
        case model.CanaryControl(action=action):
            return [action.value]
        case model.Cancel(operation=operation):
            return [] if operation is None else [str(operation)]
        case model.Plan(command=planned):
            return [as_text(planned)]
        case model.Lock(environment=environment, reason=reason, for_=for_):
            held = duration.format_duration(for_) if for_ is not None else None
            return [environment, *_flag("--reason", reason), *_flag("--for", held)]
        case model.Unlock(environment=environment):
            return [environment]
        case model.OkToTest(sha=sha):
            return [sha]
        case model.Status() | model.Help():
            return []
        case _:
            assert_never(command)


def _assignments(pairs: model.Assignments) -> list[str]:
    return [word for name, value in pairs for word in ("--set", f"{name}={_quoted(value)}")]


def _flag(name: str, value: str | None) -> list[str]:
    return [] if value is None else [name, _quoted(value)]


def _quoted(text: str) -> str:
    if _BARE.fullmatch(text) and not text.startswith("-"):
        return text
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
