"""Arguments and flags to a command's value. The value checks itself; InvalidValue comes from there, or from here."""

from __future__ import annotations

from datetime import timedelta
from typing import assert_never

from kfops.command import duration, model
from kfops.command.identifiers import InvalidValue, number
from kfops.command.reading import Read
from kfops.domain.operation import Kind

_BARE_FORCE = (model.Skip.UP_TO_DATE,)  # what --force alone skips; every other gate wants to be named (R19)


def make(kind: Kind, read: Read) -> model.Plannable:  # noqa: C901, PLR0912 - one flat list
    """The command of a kind other than `/plan`, which holds a command of its own."""
    match kind:
        case Kind.BUILD:
            return model.Build(_assignments(read))
        case Kind.RUN:
            return model.Run(_assignments(read), read.last("--package"))
        case Kind.BUILD_RUN:
            return model.BuildRun(_assignments(read))
        case Kind.STAGING_DEPLOY:
            return model.StagingDeploy(read.last("--run"))
        case Kind.DEPLOY:
            return model.Deploy(
                read.argument(0) or model.PRODUCTION,
                read.last("--run"),
                read.last("--sha"),
                _force(read.last("--force")),
                read.last("--reason"),
            )
        case Kind.ROLLBACK:
            return model.Rollback(
                reason=read.last("--reason") or "",
                environment=read.argument(0) or model.PRODUCTION,
                to=read.last("--to"),
            )
        case Kind.CANARY:
            return model.CanaryControl(_action(read.argument(0) or ""))
        case Kind.STATUS:
            return model.Status()
        case Kind.CANCEL:
            operation = read.argument(0)
            return model.Cancel(None if operation is None else int(number("OPERATION", operation)))
        case Kind.LOCK:
            return model.Lock(
                read.argument(0) or "", read.last("--reason") or "", for_=_for(read.last("--for"))
            )
        case Kind.UNLOCK:
            return model.Unlock(read.argument(0) or "")
        case Kind.OK_TO_TEST:
            return model.OkToTest(read.argument(0) or "")
        case Kind.HELP:
            return model.Help()
        case Kind.PLAN | Kind.MISTAKE | Kind.RETRAIN:
            raise InvalidValue("COMMAND…", kind.value, "a command that does something")
        case _:
            assert_never(kind)


def _assignments(read: Read) -> model.Assignments:
    """`NAME=VALUE` each; only the first `=` divides, the value keeps the others."""
    pairs = []
    for text in read.texts("--set"):
        name, equals, value = text.partition("=")
        if not equals:
            raise InvalidValue("--set", text, "NAME=VALUE")
        pairs.append((name, value))
    return tuple(pairs)


def _force(text: str | None) -> tuple[model.Skip, ...]:
    if text is None:
        return ()
    if not text:
        return _BARE_FORCE
    skips = {one.value: one for one in model.Skip}
    names = text.split(",")
    for name in names:
        if name not in skips:
            raise InvalidValue("--force", name, f"some of {', '.join(skips)}, with commas between them")
    return tuple(skip for name, skip in skips.items() if name in names)


def _action(text: str) -> model.CanaryAction:
    try:
        return model.CanaryAction(text)
    except ValueError:
        raise InvalidValue("ACTION", text, ", ".join(model.CanaryAction)) from None


def _for(text: str | None) -> timedelta | None:
    if text is None:
        return None
    length = duration.parse_duration(text)
    if not length:
        raise InvalidValue("--for", text, duration.RULE)
    return length
