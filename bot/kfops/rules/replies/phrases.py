"""Pieces that every reply shares: its first line, links into the repository, sentences with code in them."""

from __future__ import annotations

import re
from datetime import datetime
from urllib.parse import quote

from kfops.domain.operation import Kind, Operation, Outcome
from kfops.rules.reasons import MEANING, ReasonCode
from kfops.rules.replies.markdown import cell, code_span
from kfops.rules.replies.view import View

ICONS = {
    None: "🔄",
    Outcome.SUCCEEDED: "✅",
    Outcome.FAILED: "❌",
    Outcome.REFUSED: "⛔",
    Outcome.CANCELED: "🚫",
    Outcome.SUPERSEDED: "⏭️",
    Outcome.SKIPPED: "⏭️",
    Outcome.ROLLED_BACK: "↩️",
}
_SHA = re.compile(r"[0-9a-f]{7,64}")
_SPAN = re.compile(r"`([^`\n]{1,300})`")
_IN_AN_ADDRESS = str.maketrans({"(": "%28", ")": "%29", "[": "%5B", "]": "%5D", "*": "%2A", "!": "%21"})
_LONGEST = 2000
_LONGEST_WORD = 60


def marker(operation_id: int) -> str:
    """The hidden line by which the bot finds its own comment again; foreign text cannot hold one."""
    return f"<!-- kfops operation={operation_id} -->"


def heading(view: View, state: str, place: str = "") -> str:
    """Outcome, environment or model, short commit, who asked. `state` is the bot's own words."""
    operation = view.operation
    parts = [f"{ICONS[operation.outcome]} {code_span(typed(operation))} {state}"]
    if place:
        parts.append(cell(place))
    if operation.subject.head_sha:
        parts.append(commit(view, operation.subject.head_sha))
    return f"### {' · '.join([*parts, _why(operation)])}"


def _why(operation: Operation) -> str:
    """Who asked; or that nobody did."""
    if operation.kind is Kind.RETRAIN:
        moment = datetime.fromisoformat(str(operation.subject.command["moment"]))
        return f"scheduled for {moment:%Y-%m-%d %H:%M} UTC"
    return f"asked by {cell(operation.subject.author.login)}"


def typed(operation: Operation) -> str:
    """The command by its name; of a line that could not be read, its first word as it stands there."""
    if operation.kind is Kind.RETRAIN:
        return "retraining"
    if operation.kind is not Kind.MISTAKE:
        return f"/{operation.kind.value}"
    words = str(operation.subject.command.get("text") or "").split()
    return words[0][:_LONGEST_WORD] if words else "a command"


def commit(view: View, sha: str) -> str:
    if not _SHA.fullmatch(sha):
        return code_span(sha)
    return link(f"`{sha[:7]}`", f"{view.repository_url}/commit/{sha}") or f"`{sha[:7]}`"


def place(view: View, path: str, line: int | None) -> str:
    """A file of the pinned commit, by its line."""
    shown = code_span(f"{path}:{line}" if line else path)
    sha = view.operation.subject.head_sha or ""
    if not _SHA.fullmatch(sha) or path.startswith("/") or ".." in path.split("/"):
        return shown
    anchor = f"#L{line}" if line else ""
    return (
        link(shown, f"{view.repository_url}/blob/{sha}/{quote(path, safe='/', errors='replace')}{anchor}")
        or shown
    )


def link(label: str, url: str) -> str:
    """`label` is ready Markdown; empty where the address is none that a browser opens safely."""
    if not re.fullmatch(r"https?://[^\s<>\"'`\\|@\x00-\x20\x7f-\U0010ffff]+", url):
        return ""
    return f"[{label}]({url.translate(_IN_AN_ADDRESS)})"


def prose(text: str) -> str:
    """A sentence in which `code` stays code. Each piece is made harmless, whoever wrote the backquotes."""
    parts = _SPAN.split(" ".join(text[:_LONGEST].split()))
    return "".join(code_span(part) if number % 2 else _words(part) for number, part in enumerate(parts))


def _words(text: str) -> str:
    """Made harmless with the blanks around it kept, so that they part it from code."""
    inner = text.strip()
    if not inner:
        return text
    begin = text[: len(text) - len(text.lstrip())]
    return f"{begin}{cell(inner, _LONGEST)}{text[len(text.rstrip()) :]}"


def moment(at: datetime) -> str:
    return f"{at:%H:%M:%S}"


def why_ended(view: View) -> str:
    """One sentence for an end that has no other words, with who asked for it where it was a cancel."""
    operation = view.operation
    if operation.outcome is Outcome.CANCELED and operation.cancel_by:
        return f"Canceled by {cell(operation.cancel_by)}."
    known = {code.value: meaning for code, meaning in MEANING.items()}
    meaning = known.get(operation.reason_code or "", known[ReasonCode.INTERNAL_ERROR.value])
    return f"{meaning[0].upper()}{meaning[1:]}."


def reason_line(view: View) -> str:
    """For machines and for the operator; the same codes are in the log and in the exit code."""
    operation = view.operation
    return f"<sub>reason_code {code_span(operation.reason_code or '')} · operation {operation.id}</sub>"


def bullets(lines: tuple[str, ...]) -> str:
    return "\n".join(f"- {prose(line)}" for line in lines)


def alert(kind: str, *lines: str) -> str:
    """GitHub's alert box: NOTE, TIP, WARNING, CAUTION. `lines` are ready Markdown."""
    return "\n".join([f"> [!{kind}]", *(f"> {line}" for line in lines if line)])
