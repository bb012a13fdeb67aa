"""Commits, files and archives, as a browser or an archive's reader asks for them."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request, Response

from kfops.playground.errors import not_found
from kfops.playground.git.changes import EMPTY_TREE, changes
from kfops.playground.git.history import archive, blob, commit, entry
from kfops.playground.page.diff import rows
from kfops.playground.page.door import Seen, seen_repository
from kfops.playground.page.render import html
from kfops.playground.rest.git_data import archive_token

routes = APIRouter(include_in_schema=False)


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
        repository = seen_repository(seen, owner, repo)
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
        bare = seen.forge.bare(seen_repository(seen, owner, repo))
        sha = bare.resolve(ref)
        found = entry(bare, sha, path) if sha else None
        if found is None or found.kind != "blob":
            raise not_found()
        data = blob(bare, found.sha)
    return Response(
        data, media_type="text/plain; charset=utf-8", headers={"X-Content-Type-Options": "nosniff"}
    )
