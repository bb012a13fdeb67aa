"""The playground's pages: repositories, pull requests, the conversation; and their forms."""

from __future__ import annotations

import hmac
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Form, Request, Response
from fastapi.responses import PlainTextResponse, RedirectResponse

from kfops.playground.actions import comments, merging, pulls, reviews
from kfops.playground.errors import Refusal, not_found
from kfops.playground.git.changes import EMPTY_TREE, changes
from kfops.playground.git.history import archive, blob, commit, entry
from kfops.playground.page.assets import asset, avatar
from kfops.playground.page.diff import rows
from kfops.playground.page.markdown import render
from kfops.playground.page.render import html
from kfops.playground.page.session import SPEAKER, Visit, check_csrf, speakers, visit
from kfops.playground.page.views import pull_view
from kfops.playground.rest.git_data import archive_token
from kfops.playground.roles import caller_role, see
from kfops.playground.state import PullRequest, Repository, Role

routes = APIRouter(include_in_schema=False)
Seen = Annotated[Visit, Depends(visit)]
_PULL = "/{owner}/{repo}/pull/{number}"


def _repository(seen: Visit, owner: str, repo: str) -> Repository:
    return see(seen.forge.state.repository(owner, repo), seen.caller)


def problem_page(request: Request, refusal: Refusal) -> Response:
    return html(
        visit(request), "problem.html", refusal.status, message=_sentence(refusal), status_code=refusal.status
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
        repository = _repository(seen, owner, repo)
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


@routes.get("/{owner}/{repo}/compare")
def new_pull(seen: Seen, owner: str, repo: str, head: str = "", problem: str = "") -> Response:
    with seen.forge.lock:
        repository = _repository(seen, owner, repo)
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
        repository = _repository(seen, owner, repo)
        try:
            made = pulls.create(
                seen.forge, repository, seen.caller, title=title, head=head, base=base, body=body, draft=draft
            )
        except Refusal as refusal:
            return new_pull(seen, owner, repo, head, _sentence(refusal))
        return RedirectResponse(f"/{owner}/{repo}/pull/{made.number}", 303)


@routes.get("/{owner}/{repo}/pull/{number}.diff")
def pull_diff(seen: Seen, owner: str, repo: str, number: int) -> Response:
    with seen.forge.lock:
        repository = _repository(seen, owner, repo)
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
    repository = _repository(seen, owner, repo)
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
        repository = _repository(seen, owner, repo)
        pull = seen.forge.pull(repository, number)
        try:
            _do(
                seen, repository, pull, what, {"body": body, "event": event, "method": method, "label": label}
            )
        except Refusal as refusal:
            return _page(
                seen, owner, repo, number, problem=_sentence(refusal), draft_text=body, status=refusal.status
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


def _sentence(refusal: Refusal) -> str:
    told: list[Any] = [
        one if isinstance(one, str) else one.get("message") or one.get("field") for one in refusal.errors
    ]
    return ": ".join([refusal.message, *(str(one) for one in told if one)])


@routes.get("/{owner}/{repo}/legacy.tar.gz/{sha}")
def download(request: Request, owner: str, repo: str, sha: str, token: str = "") -> Response:
    forge = request.app.state.forge
    repository = forge.state.repository(owner, repo)
    if repository is None or not hmac.compare_digest(
        archive_token(forge, repository, sha).encode(), token.encode()
    ):
        raise not_found()
    data = archive(forge.bare(repository), sha, f"{owner}-{repo}-{sha[:7]}")
    named = {"Content-Disposition": f'attachment; filename="{repository.name}-{sha[:7]}.tar.gz"'}
    return Response(data, media_type="application/x-gzip", headers=named)


@routes.get("/{owner}/{repo}/commit/{sha}")
def commit_page(seen: Seen, owner: str, repo: str, sha: str) -> Response:
    with seen.forge.lock:
        repository = _repository(seen, owner, repo)
        bare = seen.forge.bare(repository)
        found = bare.resolve(sha)
        if found is None:
            raise not_found()
        one = commit(bare, found)
        return html(
            seen,
            "commit.html",
            repository=repository,
            name=seen.forge.state.full_name(repository),
            commit=one,
            files=changes(bare, one.parents[0] if one.parents else EMPTY_TREE, found),
            rows=rows,
        )


@routes.get("/{owner}/{repo}/raw/{ref}/{path:path}")
@routes.get("/{owner}/{repo}/blob/{ref}/{path:path}")
def raw(seen: Seen, owner: str, repo: str, ref: str, path: str) -> Response:
    """A file as plain text, whatever it is: nothing of a repository runs in the page's origin."""
    with seen.forge.lock:
        bare = seen.forge.bare(_repository(seen, owner, repo))
        sha = bare.resolve(ref)
        found = entry(bare, sha, path) if sha else None
        if found is None or found.kind != "blob":
            raise not_found()
        data = blob(bare, found.sha)
    return Response(
        data, media_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"}
    )
