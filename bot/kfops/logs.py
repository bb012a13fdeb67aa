"""How the bot's process logs: one line an event, with its moment; tracebacks without the values of variables."""

from __future__ import annotations

import sys

import structlog


def plain() -> None:
    """The library's own way shows local variables, and so tokens and keys, in every traceback; and it takes seconds."""
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
        ]
    )


def beside() -> None:
    """For commands whose standard output is their answer: what is logged goes to standard error."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
