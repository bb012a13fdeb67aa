"""Opening, editing, labelling, closing pull requests; following their branches."""

from __future__ import annotations

from collections.abc import Iterable

from kfops.playground.actions.repositories import create_label
from kfops.playground.errors import forbidden, invalid
from kfops.playground.forge import Forge
from kfops.playground.git.history import is_ancestor, merge_base
from kfops.playground.roles import Caller, caller_role, require, role_of
from kfops.playground.state import Happening, PullRequest, Repository, Role, User
from kfops.playground.webhooks import events
from kfops.playground.wire.issues import label as shown_label

_SCOPES = ("pull_requests",)


def create(
    forge: Forge,
    repository: Repository,
    by: Caller,
    *,
    title: str,
    head: str,
    base: str,
    body: str | None,
    draft: bool,
) -> PullRequest:
    """`head` is a branch, or `owner:branch` of a fork. 422 where there is nothing to merge, or one is open already."""
    author = require(repository, by, Role.READ, scopes=_SCOPES)
    if not title.strip():
        raise invalid("PullRequest", "title", "missing_field")
    source, branch = _head(forge, repository, head)
    if caller_role(source, by) < Role.WRITE:
        raise forbidden("You must have write access to the head branch to open a pull request from it.")
    base_sha = forge.bare(repository).resolve(f"refs/heads/{base}")
    head_sha = forge.bare(source).resolve(f"refs/heads/{branch}")
    if base_sha is None:
        raise invalid("PullRequest", "base")
    if head_sha is None:
        raise invalid("PullRequest", "head")
    for other in repository.pulls.values():
        if other.is_open and (other.head_repository_id, other.head_ref, other.base_ref) == (
            source.id,
            branch,
            base,
        ):
            named = f"{forge.state.owner(source).login}:{branch}"
            raise invalid("PullRequest", "", "custom", f"A pull request already exists for {named}.")
    number = repository.last_number + 1
    _follow(forge, repository, number, source, head_sha)
    if is_ancestor(forge.bare(repository), head_sha, base_sha):
        forge.bare(repository).delete_ref(f"refs/pull/{number}/head")
        raise invalid("PullRequest", "", "custom", f"No commits between {base} and {branch}")
    if merge_base(forge.bare(repository), base_sha, head_sha) is None:
        forge.bare(repository).delete_ref(f"refs/pull/{number}/head")
        raise invalid(
            "PullRequest", "", "custom", f"The {branch} branch has no history in common with {base}"
        )
    repository.last_number = number
    now = forge.now()
    pull = PullRequest(
        id=forge.state.next_id(),
        issue_id=forge.state.next_id(),
        number=number,
        title=title,
        body=body,
        author_id=author.id,
        head_repository_id=source.id,
        head_owner_id=source.owner_id,
        head_ref=branch,
        head_sha=head_sha,
        base_ref=base,
        base_sha=base_sha,
        created_at=now,
        updated_at=now,
        draft=draft,
    )
    repository.pulls[number] = pull
    events.pull_request(forge, repository, "opened", pull, author)
    return pull


def _head(forge: Forge, repository: Repository, head: str) -> tuple[Repository, str]:
    owner, colon, branch = head.partition(":")
    if not colon:
        return repository, head
    account = forge.state.user(owner)
    for source in forge.state.repositories.values():
        related = repository.id in {source.id, source.parent_id} or repository.parent_id == source.id
        if account is not None and source.owner_id == account.id and related:
            return source, branch
    raise invalid("PullRequest", "head")


def _follow(forge: Forge, repository: Repository, number: int, source: Repository, sha: str) -> None:
    """Puts refs/pull/N/head of the base repository where the head branch is."""
    bare, ref = forge.bare(repository), f"refs/pull/{number}/head"
    if source.id == repository.id:
        bare.update_ref(ref, sha)
    else:
        bare.fetch(forge.bare(source).path, f"{sha}:{ref}")


def edit(
    forge: Forge,
    repository: Repository,
    pull: PullRequest,
    by: Caller,
    *,
    title: str | None = None,
    body: str | None = None,
    base: str | None = None,
) -> None:
    """None leaves a field as it is. The author and writers may."""
    user = _may_edit(repository, pull, by)
    made: dict[str, object] = {}
    if title is not None and title != pull.title:
        if not title.strip():
            raise invalid("PullRequest", "title", "missing_field")
        made["title"], pull.title = {"from": pull.title}, title
    if body is not None and body != pull.body:
        made["body"], pull.body = {"from": pull.body or ""}, body
    if base is not None and base != pull.base_ref:
        sha = forge.bare(repository).resolve(f"refs/heads/{base}")
        if sha is None or not pull.is_open:
            raise invalid("PullRequest", "base")
        made["base"] = {"ref": {"from": pull.base_ref}, "sha": {"from": pull.base_sha}}
        pull.base_ref, pull.base_sha = base, sha
    if made:
        pull.updated_at = forge.now()
        events.pull_request(forge, repository, "edited", pull, user, changes=made)


def set_draft(forge: Forge, repository: Repository, pull: PullRequest, draft: bool, by: Caller) -> None:
    user = _may_edit(repository, pull, by)
    if pull.draft == draft or not pull.is_open:
        return
    pull.draft = draft
    note(forge, pull, user, "draft" if draft else "ready")
    events.pull_request(forge, repository, "converted_to_draft" if draft else "ready_for_review", pull, user)


def set_state(forge: Forge, repository: Repository, pull: PullRequest, state: str, by: Caller) -> None:
    """Closes or reopens; 422 for reopening what was merged, or what has no head branch any more."""
    user = _may_edit(repository, pull, by)
    if (state == "open") == pull.is_open:
        return
    if state == "closed":
        close(forge, repository, pull, user)
        return
    source = forge.state.repositories.get(pull.head_repository_id or -1)
    sha = forge.bare(source).resolve(f"refs/heads/{pull.head_ref}") if source else None
    base_sha = forge.bare(repository).resolve(f"refs/heads/{pull.base_ref}")
    if pull.is_merged or source is None or sha is None or base_sha is None:
        why = "was merged" if pull.is_merged else "has a branch that was deleted"
        raise invalid("PullRequest", "state", "custom", f"state cannot be changed. The pull request {why}.")
    _follow(forge, repository, pull.number, source, sha)
    if is_ancestor(forge.bare(repository), sha, base_sha):
        raise invalid(
            "PullRequest", "state", "custom", f"No commits between {pull.base_ref} and {pull.head_ref}"
        )
    pull.head_sha, pull.base_sha, pull.closed_at, pull.closed_by_id = sha, base_sha, None, None
    note(forge, pull, user, "reopened")
    events.pull_request(forge, repository, "reopened", pull, user)


def close(forge: Forge, repository: Repository, pull: PullRequest, user: User) -> None:
    pull.closed_at, pull.closed_by_id = forge.now(), user.id
    note(forge, pull, user, "closed")
    events.pull_request(forge, repository, "closed", pull, user)


def mark_merged(forge: Forge, repository: Repository, pull: PullRequest, sha: str, user: User) -> None:
    now = forge.now()
    pull.merged_at, pull.merged_by_id, pull.merge_sha = now, user.id, sha
    pull.closed_at, pull.closed_by_id = now, user.id
    note(forge, pull, user, "merged", sha)
    events.pull_request(forge, repository, "closed", pull, user)


def synchronize(
    forge: Forge, repository: Repository, pull: PullRequest, source: Repository, sha: str, user: User
) -> None:
    """The head branch moved to `sha`."""
    before = pull.head_sha
    _follow(forge, repository, pull.number, source, sha)
    pull.head_sha = sha
    pull.base_sha = forge.bare(repository).resolve(f"refs/heads/{pull.base_ref}") or pull.base_sha
    note(forge, pull, user, "pushed", f"{before}..{sha}")
    events.pull_request(forge, repository, "synchronize", pull, user, before=before, after=sha)
    if is_ancestor(forge.bare(repository), sha, pull.base_sha):
        close(forge, repository, pull, user)  # pushed back to the base: nothing is left to merge
        return
    protection = repository.protections.get(pull.base_ref)
    if protection is not None and protection.dismiss_stale:
        for review in pull.reviews:
            if review.state == "APPROVED":
                review.state = "DISMISSED"
                events.pull_request_review(forge, repository, "dismissed", pull, review, user)


def label(forge: Forge, repository: Repository, pull: PullRequest, names: Iterable[str], by: Caller) -> None:
    """Adds labels; those that the repository does not have yet are made."""
    user = require(repository, by, Role.TRIAGE, scopes=("issues", "pull_requests"))
    for name in names:
        known = repository.labels.get(name.lower()) or create_label(forge, repository, name)
        if known.name not in pull.labels:
            pull.labels.append(known.name)
            note(forge, pull, user, "labeled", known.name)
            shown = shown_label(forge, repository, known)
            events.pull_request(forge, repository, "labeled", pull, user, label=shown)


def unlabel(
    forge: Forge, repository: Repository, pull: PullRequest, names: Iterable[str], by: Caller
) -> None:
    user = require(repository, by, Role.TRIAGE, scopes=("issues", "pull_requests"))
    for name in [known for known in pull.labels if known.lower() in {one.lower() for one in names}]:
        pull.labels.remove(name)
        note(forge, pull, user, "unlabeled", name)
        shown = shown_label(forge, repository, repository.labels[name.lower()])
        events.pull_request(forge, repository, "unlabeled", pull, user, label=shown)


def note(forge: Forge, pull: PullRequest, user: User, kind: str, detail: str = "") -> None:
    now = forge.now()
    pull.updated_at = now
    pull.timeline.append(Happening(now, user.id, kind, detail))


def _may_edit(repository: Repository, pull: PullRequest, by: Caller) -> User:
    user = require(repository, by, Role.READ, scopes=("issues", "pull_requests"))
    if by.installation is None and user.id != pull.author_id and role_of(repository, user) < Role.WRITE:
        raise forbidden("Must have admin rights to Repository.")
    return user
