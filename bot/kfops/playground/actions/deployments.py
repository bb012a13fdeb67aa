"""Deployments and their statuses."""

from __future__ import annotations

from typing import Any

from kfops.playground.actions.refs import tell_changes
from kfops.playground.errors import Refusal, not_found
from kfops.playground.forge import Forge
from kfops.playground.git.history import is_ancestor
from kfops.playground.git.merging import identity, merged_tree, write_commit
from kfops.playground.mergeability import PASSING, reported
from kfops.playground.roles import Caller, require
from kfops.playground.state import Deployment, DeploymentStatus, Repository, Role, User

_SCOPES = ("deployments",)


def find(repository: Repository, deployment_id: int) -> Deployment:
    found = repository.deployments.get(deployment_id)
    if found is None:
        raise not_found()
    return found


def create(
    forge: Forge,
    repository: Repository,
    by: Caller,
    *,
    ref: str,
    task: str = "deploy",
    environment: str = "production",
    payload: dict[str, Any] | str = "",
    description: str | None = None,
    auto_merge: bool = True,
    required_contexts: list[str] | None = None,
    transient: bool = False,
    production: bool | None = None,
) -> Deployment | str:
    """The deployment, or the sentence of an auto-merge that came first.

    `required_contexts` None means every check reported at the commit; an empty list means none. 409 where one of
    them did not pass, or where the auto-merge conflicts.
    """
    user = require(repository, by, Role.WRITE, scopes=_SCOPES)
    sha = forge.bare(repository).resolve(ref)
    if sha is None:
        raise Refusal(422, f"No ref found for: {ref}")
    merged = _auto_merge(forge, repository, user, ref) if auto_merge else None
    if merged is not None:
        return merged
    states = {one.name: one.state for one in reported(repository, sha)}
    wanted = list(states) if required_contexts is None else required_contexts
    failed = [name for name in wanted if states.get(name) not in PASSING]
    if failed:
        raise Refusal(409, f"Conflict: Commit status checks failed for {ref}: {', '.join(failed)}")
    now = forge.now()
    made = Deployment(
        id=forge.state.next_id(),
        sha=sha,
        ref=ref,
        task=task,
        environment=environment,
        creator_id=user.id,
        created_at=now,
        updated_at=now,
        payload=payload,
        description=description,
        production=environment == "production" if production is None else production,
        transient=transient,
        app_id=by.app_id,
    )
    repository.deployments[made.id] = made
    return made


def _auto_merge(forge: Forge, repository: Repository, user: User, ref: str) -> str | None:
    """Brings a branch up to date with the default branch before it is deployed, as GitHub does."""
    bare = forge.bare(repository)
    branch, default = f"refs/heads/{ref}", f"refs/heads/{repository.default_branch}"
    refs = bare.refs(branch, default)
    if branch not in refs or default not in refs or is_ancestor(bare, refs[default], refs[branch]):
        return None
    tree = merged_tree(bare, refs[branch], refs[default])
    if tree is None:
        raise Refusal(409, f"Conflict merging {repository.default_branch} into {ref}.")
    message = f"Merge {repository.default_branch} into {ref}\n"
    who = identity(user.login, user.email, forge.now())
    bare.update_ref(
        branch, write_commit(bare, tree, [refs[branch], refs[default]], message, who), refs[branch]
    )
    tell_changes(forge, repository, user)
    return f"Auto-merged {repository.default_branch} into {ref} on deployment."


def add_status(
    forge: Forge,
    repository: Repository,
    of: Deployment,
    by: Caller,
    *,
    state: str,
    auto_inactive: bool = True,
    **facts: str,
) -> DeploymentStatus:
    """A success makes the earlier lasting deployments of the same environment inactive."""
    user = require(repository, by, Role.WRITE, scopes=_SCOPES)
    now = forge.now()
    of.environment = facts.pop("environment", "") or of.environment
    made = DeploymentStatus(
        id=forge.state.next_id(),
        state=state,
        creator_id=user.id,
        created_at=now,
        environment=of.environment,
        **facts,
    )
    of.statuses.append(made)
    of.updated_at = now
    if state == "success" and auto_inactive:
        for other in repository.deployments.values():
            earlier = other.id < of.id and other.environment == of.environment and not other.transient
            if earlier and other.statuses and other.statuses[-1].state == "success":
                other.statuses.append(
                    DeploymentStatus(
                        forge.state.next_id(), "inactive", user.id, now, environment=other.environment
                    )
                )
    return made
