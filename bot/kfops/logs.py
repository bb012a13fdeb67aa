"""How the bot's process logs: one line an event, with its moment; tracebacks without the values of variables.

What is logged is foreign text too (R15): it is masked, and neither begins a line of its own nor reaches the terminal.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Collection
from io import StringIO
from textwrap import indent
from typing import Any, TextIO

import structlog
from structlog.typing import ExcInfo, Processor

from kfops.rules.replies.foreign import one_line
from kfops.rules.replies.secrecy import mask
from kfops.rules.replies.view import without_secrets


def plain(secrets: Collection[str] = ()) -> None:
    """The library's own way shows local variables, and so tokens and keys, in every traceback; and it takes seconds."""
    structlog.configure(processors=_processors(secrets))


def beside(secrets: Collection[str] = ()) -> None:
    """For commands whose standard output is their answer: what is logged goes to standard error."""
    structlog.configure(
        processors=_processors(secrets), logger_factory=structlog.PrintLoggerFactory(sys.stderr)
    )


def _processors(secrets: Collection[str]) -> list[Processor]:
    return [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _harmless(secrets),
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=_traceback(secrets)),
    ]


def _harmless(secrets: Collection[str]) -> Processor:
    def value(name: str, said: Any) -> Any:
        if name == "exc_info":
            return said
        hidden = without_secrets(said, secrets)
        return one_line(hidden) if isinstance(hidden, str) else hidden

    return lambda _logger, _method, event: {name: value(name, said) for name, said in event.items()}


def _traceback(secrets: Collection[str]) -> Callable[[TextIO, ExcInfo], None]:
    """Indented, for an exception's message may have lines that look like those of the log."""

    def write(out: TextIO, error: ExcInfo) -> None:
        said = StringIO()
        structlog.dev.plain_traceback(said, error)
        out.write(indent(mask(said.getvalue(), secrets), "    "))

    return write
