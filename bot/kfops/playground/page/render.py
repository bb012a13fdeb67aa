"""A template filled in, with the headers that keep a page to itself."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from kfops.playground.page.assets import mermaid_script
from kfops.playground.page.session import Visit, speakers


@lru_cache(maxsize=1)
def _templates() -> Environment:
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["moment"] = _moment
    made.filters["safe_comment"] = _safe_comment
    made.filters["ink"] = ink
    return made


def _moment(at: datetime) -> Markup:
    when = at.astimezone(UTC)
    shown = when.strftime("%d %b %Y, %H:%M:%S UTC")
    return Markup('<time datetime="{}" title="{}">{}</time>').format(when.isoformat(), shown, shown)


def _safe_comment(text: str) -> Markup:
    """Only for what `markdown.render` made: it has passed the sieve."""
    return Markup(text)  # noqa: S704


def ink(color: str) -> str:
    """Black or white, whichever reads better on a label's colour (perceived lightness, ITU-R BT.601 weights)."""
    red, green, blue = (int(color[place : place + 2], 16) for place in (0, 2, 4))
    return "dark" if 0.299 * red + 0.587 * green + 0.114 * blue > 150 else "light"  # noqa: PLR2004


def _here(seen: Visit) -> str:
    """Where to come back to when somebody else speaks: with its query, which a sign-in page cannot do without."""
    if seen.request.method != "GET":
        return "/"
    url = seen.request.url
    return f"{url.path}?{url.query}" if url.query else url.path


def html(seen: Visit, template: str, status: int = 200, **facts: Any) -> HTMLResponse:
    state = seen.forge.state
    mermaid = mermaid_script() is not None
    text = (
        _templates()
        .get_template(template)
        .render(
            seen=seen,
            csrf=seen.csrf,
            speaker=seen.speaker,
            speakers=speakers(seen.forge),
            users=state.users,
            full_name=state.full_name,
            base_url=seen.forge.base_url,
            revision=state.revision,
            path=_here(seen),
            mermaid=mermaid,
            **facts,
        )
    )
    # Mermaid writes style elements into its drawings; nothing else here needs inline styles but label colours.
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "connect-src 'self'; base-uri 'none'; frame-ancestors 'none'"
    )
    headers = {
        "Content-Security-Policy": policy,
        "X-Content-Type-Options": "nosniff",
        "Referrer-Policy": "same-origin",
        "Cache-Control": "no-store",
    }
    made = HTMLResponse(text, status, headers)
    seen.keep(made)
    return made
