"""How the bot's process logs: one line an event, with its moment; tracebacks without the values of variables."""

from __future__ import annotations

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
