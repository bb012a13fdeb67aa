"""Values into HTML. Everything is escaped; a reply's Markdown passes a sieve of harmless tags."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

import nh3
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markdown_it import MarkdownIt
from markupsafe import Markup

from kfops.dashboard.door import Dashboard, Visit
from kfops.rules.replies.secrecy import mask
from kfops.rules.replies.view import without_secrets

_FOLDER = Path(__file__).parent
STATIC = {"style.css": "text/css", "live.js": "text/javascript", "mark.svg": "image/svg+xml"}


def page(seen: Visit, template: str, **facts: Any) -> HTMLResponse:
    around = {"visitor": seen.visitor, "csrf": seen.csrf}
    return HTMLResponse(filled(seen.dashboard, template, **around, **facts))


def problem(dashboard: Dashboard, status: int, sentence: str) -> HTMLResponse:
    text = filled(dashboard, "problem.html", visitor=None, csrf="", sentence=sentence)
    return HTMLResponse(text, status)


def filled(dashboard: Dashboard, template: str, **facts: Any) -> str:
    return _templates(dashboard.secrets).get_template(template).render(forge=dashboard.page_url, **facts)


@lru_cache(maxsize=4)
def _templates(secrets: tuple[str, ...]) -> Environment:
    def hidden(value: Any) -> Any:
        """R15 for pages: foreign text is masked where it is written, whichever template writes it.

        The texts within a value first: as Python writes a mapping, a quote in a secret reads otherwise.
        """
        if isinstance(value, Markup):
            return value
        said = without_secrets(value, secrets)
        return said if isinstance(said, str) else mask(str(said), secrets)

    made = Environment(
        loader=FileSystemLoader(_FOLDER / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=hidden,
    )
    made.filters["moment"] = _moment
    made.filters["markdown"] = _markdown
    return made


def _moment(at: datetime | None) -> Markup:
    if at is None:
        return Markup("–")
    when = at.astimezone(UTC)
    return Markup('<time datetime="{}">{}</time>').format(
        when.isoformat(), when.strftime("%Y-%m-%d %H:%M:%S UTC")
    )


def _markdown(text: str) -> Markup:
    """`nh3` keeps tables, details and links, and drops scripts, handlers and styles."""
    return Markup(nh3.clean(str(_parser().render(text))))  # noqa: S704 - it has passed the sieve


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    return MarkdownIt("commonmark", {"html": True}).enable("table")


@lru_cache(maxsize=4)
def static(name: str) -> bytes:
    return (_FOLDER / "static" / name).read_bytes()
