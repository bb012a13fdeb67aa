"""The playground's pages: repositories, users and pictures, and whom one speaks as."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from fastapi.responses import RedirectResponse

from kfops.playground.errors import Refusal, not_found
from kfops.playground.page.assets import asset, avatar
from kfops.playground.page.door import Seen, seen_repository, sentence
from kfops.playground.page.markdown import render
from kfops.playground.page.render import html
from kfops.playground.page.session import SPEAKER, check_csrf, speakers, visit
from kfops.playground.roles import caller_role
from kfops.playground.state import Role

routes = APIRouter(include_in_schema=False)


def problem_page(request: Request, refusal: Refusal) -> Response:
    return html(
        visit(request), "problem.html", refusal.status, message=sentence(refusal), status_code=refusal.status
    )


@routes.get("/")
def home(seen: Seen) -> Response:
    with seen.forge.lock:
        state = seen.forge.state
        found = [
            (state.full_name(one), one, sum(pull.is_open for pull in one.pulls.values()))
            for one in state.repositories.values()
            if caller_role(one, seen.caller) >= Role.READ
        ]
        return html(
            seen, "home.html", repositories=sorted(found, key=lambda row: row[1].pushed_at, reverse=True)
        )


@routes.get("/static/{name}")
def static(name: str) -> Response:
    return asset(name)


@routes.get("/avatars/{user_id}")
def picture(request: Request, user_id: int) -> Response:
    user = request.app.state.forge.state.users.get(user_id)
    if user is None:
        raise not_found()
    return avatar(user)


@routes.post("/speak-as")
def speak_as(
    seen: Seen,
    login: Annotated[str, Form()],
    csrf: Annotated[str, Form()],
    back: Annotated[str, Form()] = "/",
) -> Response:
    check_csrf(seen, csrf)
    if login not in {user.login for user in speakers(seen.forge)}:
        raise not_found()
    safe = back if back.startswith("/") and not back.startswith(("//", "/\\")) else "/"
    made = RedirectResponse(safe, 303)
    made.set_cookie(SPEAKER, login, httponly=True, samesite="strict")
    return made


@routes.get("/{owner}/{repo}")
@routes.get("/{owner}/{repo}/pulls")
def repository_page(seen: Seen, owner: str, repo: str, state: str = "open") -> Response:
    with seen.forge.lock:
        repository = seen_repository(seen, owner, repo)
        listed = list(reversed(repository.pulls.values()))
        return html(
            seen,
            "repository.html",
            repository=repository,
            name=seen.forge.state.full_name(repository),
            shown=[pull for pull in listed if pull.is_open == (state != "closed")],
            state=state,
            open_count=sum(pull.is_open for pull in listed),
            closed_count=sum(not pull.is_open for pull in listed),
            branches=seen.forge.bare(repository).refs("refs/heads"),
        )


@routes.get("/{owner}/{repo}/issues")
def issues_page(seen: Seen, owner: str, repo: str) -> Response:
    with seen.forge.lock:
        repository = seen_repository(seen, owner, repo)
        shown = list(reversed(repository.issues.values()))
        name = seen.forge.state.full_name(repository)
        return html(seen, "issues.html", repository=repository, name=name, shown=shown)


@routes.get("/{owner}/{repo}/issues/{number}")
def issue_page(seen: Seen, owner: str, repo: str, number: int) -> Response:
    """To read; a pull request's number leads to the pull request."""
    with seen.forge.lock:
        repository = seen_repository(seen, owner, repo)
        if number in repository.pulls:
            return RedirectResponse(f"/{owner}/{repo}/pull/{number}", 303)
        issue = repository.issues.get(number)
        if issue is None:
            raise not_found()
        name = seen.forge.state.full_name(repository)
        said = [issue.body or "", *(repository.comments[one].body for one in issue.comment_ids)]
        return html(
            seen,
            "issue.html",
            repository=repository,
            name=name,
            issue=issue,
            said=[render(one, name) for one in said],
        )
