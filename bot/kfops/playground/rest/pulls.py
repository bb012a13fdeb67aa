"""Pull requests, their commits, files, reviews, and merging."""

from __future__ import annotations

from fastapi import Response
from pydantic import BaseModel

from kfops.playground.actions import merging, reviews
from kfops.playground.actions import pulls as actions
from kfops.playground.errors import Refusal, invalid
from kfops.playground.git.changes import changes
from kfops.playground.git.history import commits, merge_base
from kfops.playground.rest.door import In, Routes, answer, created, nothing, page_of
from kfops.playground.wire import pulls as wire
from kfops.playground.wire.commits import changed_file, commit_summary

routes = Routes()
_PULL = "/repos/{owner}/{repo}/pulls/{pull_number}"
_COMMITS = 250  # the most that GitHub lists of a pull request


@routes.get("/repos/{owner}/{repo}/pulls")
def list_pulls(at: In) -> Response:
    query, repository = at.request.query_params, at.repository
    state, base, head = query.get("state", "open"), query.get("base"), query.get("head")
    found = [
        pull
        for pull in repository.pulls.values()
        if state in {"all", "open" if pull.is_open else "closed"}
        and base in {None, "", pull.base_ref}
        and head in {None, "", f"{at.forge.state.users[pull.head_owner_id].login}:{pull.head_ref}"}
    ]
    if query.get("sort") == "updated":
        found.sort(key=lambda pull: (pull.updated_at, pull.number))
    newest_first = query.get("sort", "created") == "created"
    if query.get("direction", "desc" if newest_first else "asc") == "desc":
        found.reverse()
    return page_of(at, found, lambda pull: wire.pull_simple(at.forge, repository, pull))


class NewPull(BaseModel):
    title: str = ""
    head: str
    base: str
    body: str | None = None
    draft: bool = False


@routes.post("/repos/{owner}/{repo}/pulls")
def create(at: In, body: NewPull) -> Response:
    pull = actions.create(
        at.forge,
        at.repository,
        at.caller,
        title=body.title,
        head=body.head,
        base=body.base,
        body=body.body,
        draft=body.draft,
    )
    return created(wire.pull_whole(at.forge, at.repository, pull))


@routes.get(_PULL)
def get(at: In, pull_number: int) -> Response:
    return answer(wire.pull_whole(at.forge, at.repository, at.forge.pull(at.repository, pull_number)))


class PullEdit(BaseModel):
    title: str | None = None
    body: str | None = None
    state: str | None = None
    base: str | None = None


@routes.patch(_PULL)
def edit(at: In, pull_number: int, body: PullEdit | None = None) -> Response:
    asked, pull = body or PullEdit(), at.forge.pull(at.repository, pull_number)
    if asked.state not in {None, "open", "closed"}:
        raise invalid("PullRequest", "state")
    actions.edit(
        at.forge, at.repository, pull, at.caller, title=asked.title, body=asked.body, base=asked.base
    )
    if asked.state is not None:
        actions.set_state(at.forge, at.repository, pull, asked.state, at.caller)
    return answer(wire.pull_whole(at.forge, at.repository, pull))


@routes.get(f"{_PULL}/commits")
def list_commits(at: In, pull_number: int) -> Response:
    pull, bare = at.forge.pull(at.repository, pull_number), at.forge.bare(at.repository)
    base = wire.base_tip(at.forge, at.repository, pull)
    listed = commits(bare, f"{base}..{pull.head_sha}", limit=_COMMITS)
    return page_of(at, listed, lambda one: commit_summary(at.forge, at.repository, one))


@routes.get(f"{_PULL}/files")
def list_files(at: In, pull_number: int) -> Response:
    pull, bare = at.forge.pull(at.repository, pull_number), at.forge.bare(at.repository)
    base = wire.base_tip(at.forge, at.repository, pull)
    files = changes(bare, merge_base(bare, base, pull.head_sha) or base, pull.head_sha)
    return page_of(at, files, lambda file: changed_file(at.forge, at.repository, file, pull.head_sha))


@routes.get(f"{_PULL}/merge")
def is_merged(at: In, pull_number: int) -> Response:
    if at.forge.pull(at.repository, pull_number).is_merged:
        return nothing()
    raise Refusal(404, "Not Found")


class Merge(BaseModel):
    commit_title: str | None = None
    commit_message: str | None = None
    sha: str | None = None
    merge_method: str = "merge"


@routes.put(f"{_PULL}/merge")
def merge(at: In, pull_number: int, body: Merge | None = None) -> Response:
    asked, pull = body or Merge(), at.forge.pull(at.repository, pull_number)
    if asked.merge_method not in {"merge", "squash", "rebase"}:
        raise invalid("PullRequest", "merge_method")
    sha = merging.merge(
        at.forge,
        at.repository,
        pull,
        at.caller,
        method=asked.merge_method,
        sha=asked.sha,
        title=asked.commit_title,
        message=asked.commit_message,
    )
    return answer({"sha": sha, "merged": True, "message": "Pull Request successfully merged"})


@routes.get(f"{_PULL}/reviews")
def list_reviews(at: In, pull_number: int) -> Response:
    pull = at.forge.pull(at.repository, pull_number)
    return page_of(at, pull.reviews, lambda one: wire.review(at.forge, at.repository, pull, one))


class NewReview(BaseModel):
    body: str = ""
    event: str = ""
    commit_id: str | None = None


@routes.post(f"{_PULL}/reviews")
def create_review(at: In, pull_number: int, body: NewReview | None = None) -> Response:
    """Submitted at once: pending reviews, which only their author sees, are not kept."""
    asked, pull = body or NewReview(), at.forge.pull(at.repository, pull_number)
    made = reviews.create(
        at.forge, at.repository, pull, at.caller, event=asked.event, body=asked.body, commit=asked.commit_id
    )
    return answer(wire.review(at.forge, at.repository, pull, made))


class Dismissal(BaseModel):
    message: str


@routes.put(f"{_PULL}/reviews/{{review_id}}/dismissals")
def dismiss_review(at: In, pull_number: int, review_id: int, body: Dismissal) -> Response:
    pull = at.forge.pull(at.repository, pull_number)
    found = reviews.dismiss(at.forge, at.repository, pull, review_id, body.message, at.caller)
    return answer(wire.review(at.forge, at.repository, pull, found))
