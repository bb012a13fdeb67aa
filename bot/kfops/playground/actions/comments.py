"""Comments and reactions."""

from __future__ import annotations

from kfops.playground.errors import Refusal, forbidden, invalid, not_found
from kfops.playground.forge import Forge
from kfops.playground.roles import Caller, caller_role, require
from kfops.playground.state import Comment, Issue, PullRequest, ReactionMark, Repository, Role
from kfops.playground.webhooks import events
from kfops.playground.wire.issues import REACTIONS

BODY_LIMIT = 65_536  # characters, GitHub's
_SCOPES = ("issues", "pull_requests")


def find(repository: Repository, comment_id: int) -> Comment:
    found = repository.comments.get(comment_id)
    if found is None:
        raise not_found()
    return found


def create(
    forge: Forge, repository: Repository, thread: PullRequest | Issue, body: str, by: Caller
) -> Comment:
    author = require(repository, by, Role.READ, scopes=_SCOPES)
    now = forge.now()
    comment = Comment(forge.state.next_id(), thread.number, author.id, _body(body), now, now, by.app_id)
    repository.comments[comment.id] = comment
    thread.comment_ids.append(comment.id)
    thread.updated_at = now
    events.issue_comment(forge, repository, "created", comment, by)
    return comment


def edit(forge: Forge, repository: Repository, comment: Comment, body: str, by: Caller) -> None:
    _may_change(repository, comment, by)
    before, comment.body = comment.body, _body(body)
    comment.updated_at = forge.now()
    events.issue_comment(forge, repository, "edited", comment, by, before)


def delete(forge: Forge, repository: Repository, comment: Comment, by: Caller) -> None:
    _may_change(repository, comment, by)
    del repository.comments[comment.id]
    forge.thread(repository, comment.issue_number).comment_ids.remove(comment.id)
    events.issue_comment(forge, repository, "deleted", comment, by)


def react(
    forge: Forge, repository: Repository, comment: Comment, content: str, by: Caller
) -> tuple[ReactionMark, bool]:
    """The reaction, and whether it is new: the same one twice is one."""
    user = require(repository, by, Role.READ, scopes=_SCOPES)
    if content not in REACTIONS:
        raise invalid("Reaction", "content")
    for mark in comment.reactions.values():
        if (mark.user_id, mark.content) == (user.id, content):
            return mark, False
    mark = ReactionMark(forge.state.next_id(), user.id, content, forge.now())
    comment.reactions[mark.id] = mark
    return mark, True


def unreact(repository: Repository, comment: Comment, reaction_id: int, by: Caller) -> None:
    user = require(repository, by, Role.READ, scopes=_SCOPES)
    mark = comment.reactions.get(reaction_id)
    if mark is None:
        raise not_found()
    if mark.user_id != user.id:
        raise forbidden("You may only delete your own reactions.")
    del comment.reactions[reaction_id]


def _may_change(repository: Repository, comment: Comment, by: Caller) -> None:
    user = require(repository, by, Role.READ, scopes=_SCOPES)
    if comment.author_id != user.id and caller_role(repository, by) < Role.WRITE:
        raise forbidden("Must have admin rights to Repository.")


def _body(body: str) -> str:
    if not body.strip():
        raise invalid("IssueComment", "body", "missing_field")
    if len(body) > BODY_LIMIT:
        raise Refusal(
            422,
            "Validation Failed",
            [
                {
                    "resource": "IssueComment",
                    "field": "data",
                    "code": "unprocessable",
                    "message": f"Body is too long (maximum is {BODY_LIMIT} characters)",
                }
            ],
        )
    return body
