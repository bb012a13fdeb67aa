"""How a command ends, for scripts: the exit codes are promised."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from enum import IntEnum
from typing import Any


class Exit(IntEnum):
    DONE = 0
    RUN_FAILED = 1
    USAGE = 2
    CONFIGURATION = 3
    NO_PACKAGE = 4
    ENGINE = 5
    ELSEWHERE = 6
    INTERRUPTED = 130


MEANINGS = {
    Exit.DONE: "done",
    Exit.RUN_FAILED: "the run failed, or a metric gate does not hold",
    Exit.USAGE: "the command line cannot be understood",
    Exit.CONFIGURATION: "kfops.yaml, an override or a parameter is wrong",
    Exit.NO_PACKAGE: "the pipeline does not compile",
    Exit.ENGINE: "the engine, the sandbox or a file is not there, or refused",
    Exit.ELSEWHERE: "this is done in the pull request, not here",
    Exit.INTERRUPTED: "interrupted; the run was cancelled",
}


def epilog() -> str:
    """For `--help`."""
    return "Exit codes: " + "; ".join(f"{code.value} {text}" for code, text in MEANINGS.items()) + "."


class Stop(Exception):  # noqa: N818 - the end of a command, with what is said of it
    """`lines` are told on standard error; `detail` goes into the answer of `--json`."""

    def __init__(self, code: Exit, *lines: str, detail: dict[str, Any] | None = None) -> None:
        super().__init__("\n".join(lines))
        self.code = code
        self.lines = lines
        self.detail = detail or {}


@contextmanager
def told(*, as_json: bool) -> Iterator[None]:
    """Whatever ends a command early is said in sentences, or as one JSON object, and becomes its exit code."""
    from kfops.config.errors import ConfigError
    from kfops.ports.errors import Refused, Unavailable

    try:
        yield
    except Stop as stop:
        _end(stop, as_json=as_json)
    except ConfigError as error:
        _end(Stop(Exit.CONFIGURATION, *map(str, error.problems)), as_json=as_json)
    except Refused as error:
        _end(Stop(Exit.ENGINE, str(error), *([error.fix] if error.fix else [])), as_json=as_json)
    except (Unavailable, OSError) as error:
        _end(Stop(Exit.ENGINE, str(error)), as_json=as_json)


def _end(stop: Stop, *, as_json: bool) -> None:
    if as_json:
        answer = {"ok": False, "exit_code": stop.code.value, "messages": list(stop.lines), **stop.detail}
        print(json.dumps(answer, ensure_ascii=False, default=str))
    else:
        for line in stop.lines:
            print(line, file=sys.stderr)
    raise SystemExit(stop.code.value)
