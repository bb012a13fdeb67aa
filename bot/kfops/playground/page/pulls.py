"""The pull-request page: conversation, commits, files; and what is done there."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from kfops.playground.actions import comments, merging, pulls, reviews
from kfops.playground.errors import Refusal, not_found
from kfops.playground.page.diff import rows
from kfops.playground.page.door import Seen, seen_repository, sentence
from kfops.playground.page.markdown import render
from kfops.playground.page.render import html
from kfops.playground.page.session import Visit, check_csrf
from kfops.playground.page.views import pull_view
from kfops.playground.roles import caller_role
from kfops.playground.state import PullRequest, Repository

routes = APIRouter(include_in_schema=False)
_PULL = "/{owner}/{repo}/pull/{number}"


@routes.get("/{owner}/{repo}/compare")
def new_pull(seen: Seen, owner: str, repo: str, head: str = "", problem: str = "") -> Response:
    with seen.forge.lock:
        repository = seen_repository(seen, owner, repo)
        branches = [
            name.removeprefix("refs/heads/") for name in seen.forge.bare(repository).refs("refs/heads")
        ]
        return html(
            seen,
            "new_pull.html",
            422 if problem else 200,
            repository=repository,
            name=seen.forge.state.full_name(repository),
            branches=branches,
            head=head,
            problem=problem,
        )


@routes.post("/{owner}/{repo}/pulls")
def open_pull(
    seen: Seen,
    owner: str,
    repo: str,
    csrf: Annotated[str, Form()],
    head: Annotated[str, Form()],
    base: Annotated[str, Form()],
    title: Annotated[str, Form()] = "",
    body: Annotated[str, Form()] = "",
    draft: Annotated[bool, Form()] = False,
) -> Response:
    check_csrf(seen, csrf)
    with seen.forge.lock:
        repository = seen_repository(seen, owner, repo)
        try:
            made = pulls.create(
                seen.forge, repository, seen.caller, title=title, head=head, base=base, body=body, draft=draft
            )
        except Refusal as refusal:
            return new_pull(seen, owner, repo, head, sentence(refusal))
        return RedirectResponse(f"/{owner}/{repo}/pull/{made.number}", 303)


@routes.get("/{owner}/{repo}/pull/{number}.diff")
def pull_diff(seen: Seen, owner: str, repo: str, number: int) -> Response:
    with seen.forge.lock:
        repository = seen_repository(seen, owner, repo)
        view = pull_view(seen.forge, repository, seen.forge.pull(repository, number))
    parts = [
        f"--- a/{one.previous_path or one.path}\n+++ b/{one.path}\n{one.patch or ''}\n" for one in view.files
    ]
    return PlainTextResponse("".join(parts))


@routes.get(_PULL)
def conversation(seen: Seen, owner: str, repo: str, number: int) -> Response:
    with seen.forge.lock:
        return _page(seen, owner, repo, number)


@routes.get(f"{_PULL}/files")
def files(seen: Seen, owner: str, repo: str, number: int) -> Response:
    with seen.forge.lock:
        return _page(seen, owner, repo, number, tab="files")


@routes.get(f"{_PULL}/commits")
def pull_commits(seen: Seen, owner: str, repo: str, number: int) -> Response:
    with seen.forge.lock:
        return _page(seen, owner, repo, number, tab="commits")


@routes.get(f"{_PULL}/revision")
def revision(request: Request) -> dict[str, int]:
    """What the open page asks for now and then: another number means that something changed."""
    return {"revision": int(request.app.state.forge.state.revision)}


def _page(
    seen: Visit,
    owner: str,
    repo: str,
    number: int,
    *,
    tab: str = "conversation",
    problem: str = "",
    draft_text: str = "",
    status: int = 200,
) -> Response:
    repository = seen_repository(seen, owner, repo)
    pull = seen.forge.pull(repository, number)
    view = pull_view(seen.forge, repository, pull)
    named = seen.forge.state.full_name(repository)
    return html(
        seen,
        "pull.html",
        status,
        repository=repository,
        name=named,
        pull=pull,
        view=view,
        tab=tab,
        body_html=render(pull.body, named) if pull.body else "",
        labels=[repository.labels[label.lower()] for label in pull.labels],
        role=caller_role(repository, seen.caller),
        methods=_methods(repository),
        problem=problem,
        draft_text=draft_text,
        rows=rows,
        suggestions=seen.forge.suggestions,
    )


def _methods(repository: Repository) -> list[tuple[str, str]]:
    offered = [
        ("merge", "Create a merge commit", repository.allow_merge_commit),
        ("squash", "Squash and merge", repository.allow_squash_merge),
        ("rebase", "Rebase and merge", repository.allow_rebase_merge),
    ]
    return [(method, text) for method, text, allowed in offered if allowed]


@routes.post(f"{_PULL}/{{what}}")
def act(
    seen: Seen,
    owner: str,
    repo: str,
    number: int,
    what: str,
    csrf: Annotated[str, Form()],
    body: Annotated[str, Form()] = "",
    event: Annotated[str, Form()] = "",
    method: Annotated[str, Form()] = "merge",
    label: Annotated[str, Form()] = "",
) -> Response:
    """Every form of a pull request: what was asked, as the speaker; a refusal is shown on the page."""
    check_csrf(seen, csrf)
    with seen.forge.lock:
        repository = seen_repository(seen, owner, repo)
        pull = seen.forge.pull(repository, number)
        try:
            _do(
                seen, repository, pull, what, {"body": body, "event": event, "method": method, "label": label}
            )
        except Refusal as refusal:
            return _page(
                seen, owner, repo, number, problem=sentence(refusal), draft_text=body, status=refusal.status
            )
        seen.forge.state.revision += 1
    return RedirectResponse(f"/{owner}/{repo}/pull/{number}#end", 303)


def _do(seen: Visit, repository: Repository, pull: PullRequest, what: str, given: dict[str, str]) -> None:
    forge, by = seen.forge, seen.caller
    match what:
        case "comments":
            comments.create(forge, repository, pull, given["body"].replace("\r\n", "\n"), by)
        case "reviews":
            reviews.create(
                forge, repository, pull, by, event=given["event"], body=given["body"].replace("\r\n", "\n")
            )
        case "merge":
            merging.merge(forge, repository, pull, by, method=given["method"], sha=pull.head_sha)
        case "close":
            pulls.set_state(forge, repository, pull, "closed", by)
        case "reopen":
            pulls.set_state(forge, repository, pull, "open", by)
        case "draft":
            pulls.set_draft(forge, repository, pull, not pull.draft, by)
        case "label":
            pulls.label(forge, repository, pull, [given["label"]], by)
        case "unlabel":
            pulls.unlabel(forge, repository, pull, [given["label"]], by)
        case _:
            raise not_found()
