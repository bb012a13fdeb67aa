"""Commits, comparisons, refs, files and archives."""

from __future__ import annotations

import hashlib
import hmac

from fastapi import Response
from pydantic import BaseModel

from kfops.playground.actions.refs import tell_changes
from kfops.playground.errors import Refusal, not_found
from kfops.playground.forge import Forge
from kfops.playground.git.history import blob, children, entry, is_ancestor
from kfops.playground.rest.door import At, In, Routes, answer, created, links, nothing
from kfops.playground.state import Repository, Role
from kfops.playground.wire import commits as wire
from kfops.playground.wire.repositories import html_url

routes = Routes()
_RAW_LIMIT = 100_000_000


@routes.get("/repos/{owner}/{repo}/compare/{basehead:path}")
def compare(at: In, basehead: str) -> Response:
    base, dots, head = basehead.partition("...")
    if not dots or not base or not head:
        raise not_found()
    repository, bare = at.repository, at.forge.bare(at.repository)
    ends = [bare.resolve(_own_branch(at, name)) for name in (base, head)]
    if ends[0] is None or ends[1] is None:
        raise not_found()
    page, size = at.page
    size = at.number("per_page", 250)
    content, total = wire.comparison(
        at.forge, repository, ends[0], ends[1], basehead, ((page - 1) * size, size)
    )
    return answer(content, headers=links(at, total) if "per_page" in at.request.query_params else {})


def _own_branch(at: At, name: str) -> str:
    """`owner:branch` of this repository is its branch; a fork's is known by its pull request."""
    owner, colon, branch = name.partition(":")
    if not colon or owner.lower() == at.forge.state.owner(at.repository).login.lower():
        return branch or owner
    for pull in at.repository.pulls.values():
        if (
            pull.head_ref == branch
            and at.forge.state.users[pull.head_owner_id].login.lower() == owner.lower()
        ):
            return pull.head_sha
    raise not_found()


@routes.get("/repos/{owner}/{repo}/git/ref/{ref:path}")
def get_ref(at: In, ref: str) -> Response:
    name = f"refs/{ref}"
    found = at.forge.bare(at.repository).refs(name).get(name)
    if found is None:
        raise not_found()
    return answer(wire.git_ref(at.forge, at.repository, name, found, _kind(at, found)))


def _kind(at: At, sha: str) -> str:
    return at.forge.bare(at.repository).text("cat-file", "-t", sha)


class NewRef(BaseModel):
    ref: str
    sha: str


@routes.post("/repos/{owner}/{repo}/git/refs")
def create_ref(at: In, body: NewRef) -> Response:
    user, bare = at.require(Role.WRITE, "contents"), at.forge.bare(at.repository)
    if not body.ref.startswith(("refs/heads/", "refs/tags/")) or not bare.is_valid_ref(body.ref):
        raise Refusal(422, f"{body.ref} is not a valid ref name.")
    if bare.resolve(body.sha) != body.sha:
        raise Refusal(422, "Object does not exist")
    if body.ref in bare.refs(body.ref):
        raise Refusal(422, "Reference already exists")
    bare.update_ref(body.ref, body.sha)
    tell_changes(at.forge, at.repository, user)
    return created(wire.git_ref(at.forge, at.repository, body.ref, body.sha))


class RefMove(BaseModel):
    sha: str
    force: bool = False


@routes.patch("/repos/{owner}/{repo}/git/refs/{ref:path}")
def update_ref(at: In, ref: str, body: RefMove) -> Response:
    user, bare, name = at.require(Role.WRITE, "contents"), at.forge.bare(at.repository), f"refs/{ref}"
    before = bare.refs(name).get(name)
    if before is None or not name.startswith(("refs/heads/", "refs/tags/")):
        raise Refusal(422, "Reference does not exist")
    if bare.resolve(body.sha) != body.sha:
        raise Refusal(422, "Object does not exist")
    if not body.force and not is_ancestor(bare, before, body.sha):
        raise Refusal(422, "Update is not a fast forward")
    bare.update_ref(name, body.sha, before)
    tell_changes(at.forge, at.repository, user)
    return answer(wire.git_ref(at.forge, at.repository, name, body.sha))


@routes.delete("/repos/{owner}/{repo}/git/refs/{ref:path}")
def delete_ref(at: In, ref: str) -> Response:
    user, bare, name = at.require(Role.WRITE, "contents"), at.forge.bare(at.repository), f"refs/{ref}"
    if not name.startswith(("refs/heads/", "refs/tags/")) or name not in bare.refs(name):
        raise Refusal(422, "Reference does not exist")
    if name == f"refs/heads/{at.repository.default_branch}":
        raise Refusal(422, "Cannot delete the default branch")
    bare.delete_ref(name)
    tell_changes(at.forge, at.repository, user)
    return nothing()


@routes.get("/repos/{owner}/{repo}/contents")
@routes.get("/repos/{owner}/{repo}/contents/{path:path}")
def contents(at: In, path: str = "") -> Response:
    repository, bare = at.repository, at.forge.bare(at.repository)
    ref = at.request.query_params.get("ref") or repository.default_branch
    sha = bare.resolve(ref)
    if sha is None:
        raise Refusal(404, f"No commit found for the ref {ref}")
    found = entry(bare, sha, path.strip("/"))
    if found is None:
        raise not_found()
    accept = at.request.headers.get("accept", "")
    if found.kind == "tree":
        listed = [wire.content(at.forge, repository, one, ref) for one in children(bare, found, sha)]
        as_object = "application/vnd.github.object" in accept
        return answer(
            {**wire.content(at.forge, repository, found, ref), "entries": listed} if as_object else listed
        )
    if found.kind == "commit":
        return answer({**wire.content(at.forge, repository, found, ref), "submodule_git_url": None})
    if found.size > _RAW_LIMIT:
        error = {"resource": "Blob", "field": "data", "code": "too_large"}
        raise Refusal(403, "This API returns blobs up to 100 MB in size.", [error])
    data = blob(bare, found.sha)
    if "application/vnd.github.raw" in accept or "application/vnd.github.v3.raw" in accept:
        return Response(data, media_type="application/vnd.github.raw; charset=utf-8")
    if found.mode == "120000":
        return answer(
            {**wire.content(at.forge, repository, found, ref), "target": data.decode(errors="replace")}
        )
    return answer(wire.content_file(at.forge, repository, found, ref, data))


@routes.get("/repos/{owner}/{repo}/tarball")
@routes.get("/repos/{owner}/{repo}/tarball/{ref:path}")
def tarball(at: In, ref: str = "") -> Response:
    """Sends to an address of its own, signed, as the archive is fetched without the token."""
    sha = at.forge.bare(at.repository).resolve(ref or at.repository.default_branch)
    if sha is None:
        raise not_found()
    url = f"{html_url(at.forge, at.repository)}/legacy.tar.gz/{sha}?token={archive_token(at.forge, at.repository, sha)}"
    return Response(status_code=302, headers={"Location": url})


def archive_token(forge: Forge, repository: Repository, sha: str) -> str:
    return hmac.new(forge.secret.encode(), f"{repository.id}:{sha}".encode(), hashlib.sha256).hexdigest()
