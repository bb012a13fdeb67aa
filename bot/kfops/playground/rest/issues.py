"""Issues, and the issue side of pull requests: comments, reactions, labels."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fastapi import Response
from pydantic import BaseModel

from kfops.playground.actions import comments as actions
from kfops.playground.actions import issues as issue_actions
from kfops.playground.actions import pulls as pull_actions
from kfops.playground.actions.repositories import create_label
from kfops.playground.errors import Refusal, invalid, not_found
from kfops.playground.rest.door import At, In, Routes, answer, created, nothing, page_of
from kfops.playground.state import Comment, Issue, PullRequest, Role
from kfops.playground.wire import issues as wire

routes = Routes()


class Body(BaseModel):
    body: str


def _comments(at: At, found: list[Comment]) -> Response:
    """Those changed at or after `since`; oldest first unless asked otherwise."""
    query = at.request.query_params
    since = query.get("since", "").replace(" ", "+")
    if since:
        try:
            moment = datetime.fromisoformat(since)
        except ValueError:
            raise invalid("IssueComment", "since") from None
        moment = moment if moment.tzinfo else moment.replace(tzinfo=at.forge.now().tzinfo)
        found = [one for one in found if one.updated_at.replace(microsecond=0) >= moment]
    if query.get("sort") == "updated":
        found.sort(key=lambda one: (one.updated_at, one.id))
    if query.get("direction") == "desc" and query.get("sort"):
        found.reverse()
    return page_of(at, found, lambda one: wire.comment(at.forge, at.repository, one))


@routes.get("/repos/{owner}/{repo}/issues/comments")
def list_all_comments(at: In) -> Response:
    return _comments(at, list(at.repository.comments.values()))


@routes.get("/repos/{owner}/{repo}/issues/comments/{comment_id}")
def get_comment(at: In, comment_id: int) -> Response:
    return answer(wire.comment(at.forge, at.repository, actions.find(at.repository, comment_id)))


@routes.patch("/repos/{owner}/{repo}/issues/comments/{comment_id}")
def edit_comment(at: In, comment_id: int, body: Body) -> Response:
    comment = actions.find(at.repository, comment_id)
    actions.edit(at.forge, at.repository, comment, body.body, at.caller)
    return answer(wire.comment(at.forge, at.repository, comment))


@routes.delete("/repos/{owner}/{repo}/issues/comments/{comment_id}")
def delete_comment(at: In, comment_id: int) -> Response:
    actions.delete(at.forge, at.repository, actions.find(at.repository, comment_id), at.caller)
    return nothing()


@routes.get("/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions")
def list_reactions(at: In, comment_id: int) -> Response:
    content = at.request.query_params.get("content")
    marks = actions.find(at.repository, comment_id).reactions.values()
    found = [mark for mark in marks if content in {None, mark.content}]
    return page_of(at, found, lambda mark: wire.reaction(at.forge, mark))


class Content(BaseModel):
    content: str


@routes.post("/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions")
def react(at: In, comment_id: int, body: Content) -> Response:
    comment = actions.find(at.repository, comment_id)
    mark, is_new = actions.react(at.forge, at.repository, comment, body.content, at.caller)
    return answer(wire.reaction(at.forge, mark), 201 if is_new else 200)


@routes.delete("/repos/{owner}/{repo}/issues/comments/{comment_id}/reactions/{reaction_id}")
def unreact(at: In, comment_id: int, reaction_id: int) -> Response:
    actions.unreact(at.repository, actions.find(at.repository, comment_id), reaction_id, at.caller)
    return nothing()


@routes.get("/repos/{owner}/{repo}/issues")
def list_issues(at: In) -> Response:
    """By state and labels, newest first."""
    query = at.request.query_params
    state, named = (
        query.get("state", "open"),
        [name.lower() for name in query.get("labels", "").split(",") if name],
    )
    threads: dict[int, PullRequest | Issue] = {**at.repository.pulls, **at.repository.issues}
    found = [
        threads[number]
        for number in sorted(threads, reverse=True)
        if state in {"all", "open" if threads[number].is_open else "closed"}
        and set(named) <= {name.lower() for name in threads[number].labels}
    ]
    return page_of(at, found, lambda one: wire.issue(at.forge, at.repository, one))


class NewIssue(BaseModel):
    title: str
    body: str | None = None
    labels: list[str | dict[str, Any]] = []


@routes.post("/repos/{owner}/{repo}/issues")
def create_issue(at: In, body: NewIssue) -> Response:
    made = issue_actions.create(
        at.forge, at.repository, at.caller, title=body.title, body=body.body, labels=_names(body.labels)
    )
    return created(wire.issue(at.forge, at.repository, made))


@routes.get("/repos/{owner}/{repo}/issues/{issue_number}")
def get_issue(at: In, issue_number: int) -> Response:
    return answer(wire.issue(at.forge, at.repository, at.forge.thread(at.repository, issue_number)))


class IssueEdit(BaseModel):
    title: str | None = None
    body: str | None = None
    state: str | None = None
    labels: list[str | dict[str, Any]] | None = None
    assignees: list[str] | None = None


@routes.patch("/repos/{owner}/{repo}/issues/{issue_number}")
def edit_issue(at: In, issue_number: int, body: IssueEdit) -> Response:
    if body.state not in {None, "open", "closed"}:
        raise invalid("Issue", "state")
    forge, repository, pull = at.forge, at.repository, at.forge.thread(at.repository, issue_number)
    if isinstance(pull, Issue):
        given = {"title": body.title, "body": body.body, "state": body.state}
        issue_actions.edit(forge, repository, pull, at.caller, **given)
        return answer(wire.issue(forge, repository, pull))
    pull_actions.edit(forge, repository, pull, at.caller, title=body.title, body=body.body)
    if body.state is not None:
        pull_actions.set_state(forge, repository, pull, body.state, at.caller)
    if body.labels is not None:
        _set_labels(at, _names(body.labels))
    if body.assignees is not None:
        at.require(Role.TRIAGE, "issues", "pull_requests")
        pull.assignee_ids = [
            user.id for login in body.assignees if (user := forge.state.user(login)) is not None
        ]
    return answer(wire.issue(forge, repository, pull))


@routes.get("/repos/{owner}/{repo}/issues/{issue_number}/comments")
def list_comments(at: In, issue_number: int) -> Response:
    thread = at.forge.thread(at.repository, issue_number)
    return _comments(at, [at.repository.comments[number] for number in thread.comment_ids])


@routes.post("/repos/{owner}/{repo}/issues/{issue_number}/comments")
def create_comment(at: In, issue_number: int, body: Body) -> Response:
    thread = at.forge.thread(at.repository, issue_number)
    comment = actions.create(at.forge, at.repository, thread, body.body, at.caller)
    return created(wire.comment(at.forge, at.repository, comment))


def _labels(at: At) -> Response:
    return answer(wire.labels(at.forge, at.repository, at.pull))


def _names(labels: list[str | dict[str, Any]]) -> list[str]:
    return [one if isinstance(one, str) else str(one.get("name") or "") for one in labels]


def _set_labels(at: At, names: list[str]) -> None:
    lowered = {name.lower() for name in names}
    gone = [name for name in at.pull.labels if name.lower() not in lowered]
    pull_actions.unlabel(at.forge, at.repository, at.pull, gone, at.caller)
    pull_actions.label(at.forge, at.repository, at.pull, names, at.caller)


class Labels(BaseModel):
    labels: list[str | dict[str, Any]] = []


LabelList = Labels | list[str | dict[str, Any]]


def _asked(body: LabelList | None) -> list[str]:
    """GitHub takes `{"labels": […]}` and a bare list."""
    return _names(body.labels if isinstance(body, Labels) else body or [])


@routes.get("/repos/{owner}/{repo}/issues/{issue_number}/labels")
def list_labels(at: In, issue_number: int) -> Response:
    pull = at.forge.pull(at.repository, issue_number)
    return page_of(at, wire.labels(at.forge, at.repository, pull), lambda shown: shown)


@routes.post("/repos/{owner}/{repo}/issues/{issue_number}/labels")
def add_labels(at: In, issue_number: int, body: LabelList | None = None) -> Response:
    pull = at.forge.pull(at.repository, issue_number)
    pull_actions.label(at.forge, at.repository, pull, _asked(body), at.caller)
    return _labels(at)


@routes.put("/repos/{owner}/{repo}/issues/{issue_number}/labels")
def set_labels(at: In, issue_number: int, body: LabelList | None = None) -> Response:
    at.forge.pull(at.repository, issue_number)
    _set_labels(at, _asked(body))
    return _labels(at)


@routes.delete("/repos/{owner}/{repo}/issues/{issue_number}/labels/{name:path}")
def remove_label(at: In, issue_number: int, name: str) -> Response:
    pull = at.forge.pull(at.repository, issue_number)
    at.require(Role.TRIAGE, "issues", "pull_requests")
    if name.lower() not in {known.lower() for known in pull.labels}:
        raise Refusal(404, "Label does not exist")
    pull_actions.unlabel(at.forge, at.repository, pull, [name], at.caller)
    return _labels(at)


@routes.get("/repos/{owner}/{repo}/labels")
def list_repository_labels(at: In) -> Response:
    found = sorted(at.repository.labels.values(), key=lambda label: label.name.lower())
    return page_of(at, found, lambda label: wire.label(at.forge, at.repository, label))


class NewLabel(BaseModel):
    name: str
    color: str | None = None
    description: str | None = None


@routes.post("/repos/{owner}/{repo}/labels")
def create_repository_label(at: In, body: NewLabel) -> Response:
    at.require(Role.TRIAGE, "issues", "pull_requests")
    made = create_label(at.forge, at.repository, body.name, body.color, body.description)
    return created(wire.label(at.forge, at.repository, made))


@routes.get("/repos/{owner}/{repo}/labels/{name:path}")
def get_label(at: In, name: str) -> Response:
    found = at.repository.labels.get(name.lower())
    if found is None:
        raise not_found()
    return answer(wire.label(at.forge, at.repository, found))
