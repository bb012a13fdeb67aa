"""Issues without branches: opened, edited, closed."""

from __future__ import annotations

from collections.abc import Iterable

from kfops.playground.actions.repositories import create_label
from kfops.playground.errors import forbidden, invalid
from kfops.playground.forge import Forge
from kfops.playground.roles import Caller, caller_role, require
from kfops.playground.state import Issue, Repository, Role

BODY_LIMIT = 65_536  # characters, GitHub's
_SCOPES = ("issues",)


def create(
    forge: Forge,
    repository: Repository,
    by: Caller,
    *,
    title: str,
    body: str | None,
    labels: Iterable[str] = (),
) -> Issue:
    """Whoever can read may; labels count from those only who may set them, as on GitHub."""
    author = require(repository, by, Role.READ, scopes=_SCOPES)
    now = forge.now()
    made = Issue(
        id=forge.state.next_id(),
        number=repository.last_number + 1,
        title=_title(title),
        body=_body(body),
        author_id=author.id,
        created_at=now,
        updated_at=now,
        app_id=by.app_id,
    )
    if caller_role(repository, by) >= Role.TRIAGE:
        for name in labels:
            known = repository.labels.get(name.lower()) or create_label(forge, repository, name)
            made.labels.append(known.name)
    repository.last_number = made.number
    repository.issues[made.number] = made
    return made


def edit(
    forge: Forge,
    repository: Repository,
    issue: Issue,
    by: Caller,
    *,
    title: str | None = None,
    body: str | None = None,
    state: str | None = None,
) -> None:
    """None leaves a field as it is. The author and writers may."""
    user = require(repository, by, Role.READ, scopes=_SCOPES)
    if user.id != issue.author_id and caller_role(repository, by) < Role.WRITE:
        raise forbidden("Must have admin rights to Repository.")
    if title is not None:
        issue.title = _title(title)
    if body is not None:
        issue.body = _body(body)
    if state is not None and (state == "open") != issue.is_open:
        issue.closed_at = None if state == "open" else forge.now()
        issue.closed_by_id = None if state == "open" else user.id
    issue.updated_at = forge.now()


def _title(title: str) -> str:
    if not title.strip():
        raise invalid("Issue", "title", "missing_field")
    return title


def _body(body: str | None) -> str | None:
    if body is not None and len(body) > BODY_LIMIT:
        message = f"body is too long (maximum is {BODY_LIMIT} characters)"
        raise invalid("Issue", "body", "custom", message)
    return body
