"""GitHub-flavoured Markdown for comments: tables, task lists, alerts, mentions, emoji names, Mermaid blocks."""

from __future__ import annotations

import re
from functools import lru_cache
from html import escape
from typing import Any

from markdown_it import MarkdownIt
from markdown_it.rules_core import StateCore
from markdown_it.token import Token

from kfops.playground.page.safe_html import safe_html

_EMOJI = {
    "white_check_mark": "✅", "heavy_check_mark": "✔️", "x": "❌", "warning": "⚠️", "rocket": "🚀", "eyes": "👀",
    "tada": "🎉", "hourglass": "⌛", "hourglass_flowing_sand": "⏳", "no_entry": "⛔", "rotating_light": "🚨",
    "+1": "👍", "-1": "👎", "thumbsup": "👍", "thumbsdown": "👎", "heart": "❤️", "confused": "😕", "bulb": "💡",
    "red_circle": "🔴", "green_circle": "🟢", "large_blue_circle": "🔵", "yellow_circle": "🟡", "white_circle": "⚪",
    "arrow_up": "⬆️", "arrow_down": "⬇️", "bar_chart": "📊", "chart_with_upwards_trend": "📈", "label": "🏷️",
    "construction": "🚧", "lock": "🔒", "unlock": "🔓", "package": "📦", "memo": "📝", "bug": "🐛", "robot": "🤖",
}  # fmt: skip
_ALERT = re.compile(r"\[!(NOTE|TIP|IMPORTANT|WARNING|CAUTION)\]\s*")
_TASK = re.compile(r"\[([ xX])\]\s+")
_SPECIAL = re.compile(
    r"(?P<url>https?://[^\s<>\"')\]]*[^\s<>\"')\].,;:!?])"
    r"|(?<![\w@/])@(?P<login>[A-Za-z0-9][A-Za-z0-9-]{0,38}(?:\[bot\])?)"
    r"|(?<![\w&/])#(?P<number>\d{1,9})\b"
    r"|:(?P<emoji>[a-z0-9_+-]+):"
)


def render(text: str, repository: str = "") -> str:
    """Safe HTML; `repository` (`owner/name`) is what `#12` refers to."""
    return _render(text, repository)


@lru_cache(maxsize=512)
def _render(text: str, repository: str) -> str:
    return safe_html(str(_parser().render(text, {"repository": repository})))


@lru_cache(maxsize=1)
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": True, "breaks": True}).enable(["table", "strikethrough"])
    parser.core.ruler.push("github", _github)
    parser.add_render_rule("fence", _fence)
    return parser


def _fence(renderer: Any, tokens: list[Token], index: int, options: Any, env: Any) -> str:
    _ = renderer, options, env
    words = tokens[index].info.split()
    name, text = (words[0] if words else ""), escape(tokens[index].content)
    if name == "mermaid":
        return f'<pre class="mermaid">{text}</pre>\n'
    return f'<pre><code class="language-{escape(name or "text")}">{text}</code></pre>\n'


def _github(state: StateCore) -> None:
    for index, token in enumerate(state.tokens):
        if token.type == "blockquote_open":
            _alert(state.tokens, index)
        if token.type == "list_item_open":
            _task(state.tokens, index)
        if token.type == "inline" and token.children:
            token.children = _with_links(token.children, state.env["repository"])


def _first_text(tokens: list[Token], index: int) -> list[Token] | None:
    """The children of the paragraph that a block begins with."""
    if index + 2 < len(tokens) and tokens[index + 1].type == "paragraph_open":
        children = tokens[index + 2].children
        return children if children and children[0].type == "text" else None
    return None


def _alert(tokens: list[Token], index: int) -> None:
    children = _first_text(tokens, index)
    match = _ALERT.fullmatch(children[0].content) if children else None
    if not children or not match:
        return
    kind = match[1].lower()
    tokens[index].attrSet("class", f"alert alert-{kind}")
    children[0] = _html(f'<span class="alert-title">{kind.capitalize()}</span>')
    if len(children) > 1 and children[1].type in {"softbreak", "hardbreak"}:
        del children[1]


def _task(tokens: list[Token], index: int) -> None:
    children = _first_text(tokens, index)
    match = _TASK.match(children[0].content) if children else None
    if not children or not match:
        return
    tokens[index].attrSet("class", "task")
    children[0].content = children[0].content[match.end() :]
    children.insert(0, _html(f'<input type="checkbox"{"" if match[1] == " " else " checked"}> '))


def _with_links(children: list[Token], repository: str) -> list[Token]:
    """Text outside links with its addresses, mentions, numbers and emoji names made what GitHub makes of them."""
    made: list[Token] = []
    depth = 0
    for child in children:
        depth += {"link_open": 1, "link_close": -1}.get(child.type, 0)
        made += _special(child, repository) if child.type == "text" and not depth else [child]
    return made


def _special(token: Token, repository: str) -> list[Token]:
    made: list[Token] = []
    position = 0
    for match in _SPECIAL.finditer(token.content):
        shown = _shown(match, repository)
        if shown is not None:
            made += [_text(token.content[position : match.start()]), _html(shown)]
            position = match.end()
    return [*made, _text(token.content[position:])] if made else [token]


def _shown(match: re.Match[str], repository: str) -> str | None:
    word = escape(match[0])
    if match["url"]:
        return f'<a href="{word}">{word}</a>'
    if match["login"]:
        return f'<a class="mention" href="/{escape(match["login"])}">{word}</a>'
    if match["number"]:
        return f'<a href="/{escape(repository)}/pull/{match["number"]}">{word}</a>' if repository else None
    return _EMOJI.get(match["emoji"])


def _html(content: str) -> Token:
    return Token("html_inline", "", 0, content=content)


def _text(content: str) -> Token:
    return Token("text", "", 0, content=content)
