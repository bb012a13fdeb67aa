"""Making repositories, forks, labels; roles and the rules of branches."""

from __future__ import annotations

import re
from typing import Any

from kfops.playground.errors import Refusal, invalid
from kfops.playground.forge import Forge
from kfops.playground.git import bare as git
from kfops.playground.state import Hook, Installation, Label, Repository, Role, User
from kfops.playground.webhooks import events

_NAME = re.compile(r"[A-Za-z0-9._-]{1,100}")
LABEL_LIMIT, DESCRIPTION_LIMIT = 50, 100  # characters
_LABELS = {"bug": ("d73a4a", "Something isn't working"), "enhancement": ("a2eeef", "New feature or request")}


def create(
    forge: Forge,
    owner: User,
    name: str,
    *,
    creator: User | None = None,
    default_branch: str = "main",
    private: bool = False,
    description: str | None = None,
    parent: Repository | None = None,
) -> Repository:
    """An empty repository. 422 for a bad name, or one that the owner already has."""
    if not _NAME.fullmatch(name) or name in {".", ".."} or name.endswith((".git", ".wiki")):
        raise invalid(
            "Repository",
            "name",
            "custom",
            "name must be of letters, digits, '.', '-' and '_', and not end in .git",
        )
    if forge.state.repository(owner.login, name) is not None:
        raise Refusal(
            422,
            "Repository creation failed.",
            [
                {
                    "resource": "Repository",
                    "field": "name",
                    "code": "custom",
                    "message": "name already exists on this account",
                }
            ],
        )
    now = forge.now()
    repository = Repository(
        id=forge.state.next_id(),
        owner_id=owner.id,
        name=name,
        default_branch=default_branch,
        created_at=now,
        updated_at=now,
        pushed_at=now,
        private=private,
        description=description,
        parent_id=parent.id if parent else None,
    )
    git.create(forge.bare(repository).path, default_branch)
    forge.state.repositories[repository.id] = repository
    if creator is not None and creator.id != owner.id:
        repository.roles[creator.id] = Role.ADMIN
    for label, (color, about) in _LABELS.items():
        repository.labels[label] = Label(forge.state.next_id(), label, color, about)
    _install_apps(forge, owner)
    forge.state.revision += 1
    return repository


def fork(forge: Forge, parent: Repository, owner: User, name: str | None = None) -> Repository:
    """A copy of all branches under another owner; an earlier fork of the same owner is given back."""
    for other in forge.state.repositories.values():
        if other.parent_id == parent.id and other.owner_id == owner.id:
            return other
    made = create(
        forge,
        owner,
        name or parent.name,
        default_branch=parent.default_branch,
        private=parent.private,
        parent=parent,
    )
    forge.bare(made).fetch(forge.bare(parent).path, "refs/heads/*:refs/heads/*")
    made.known_refs = forge.bare(made).refs("refs/heads", "refs/tags")
    return made


def _install_apps(forge: Forge, owner: User) -> None:
    for app in forge.state.apps.values():
        install(forge, app.id, owner)


def install(forge: Forge, app_id: int, account: User) -> Installation:
    """An app is installed on every account that owns a repository, for all of its repositories."""
    for one in forge.state.installations.values():
        if one.app_id == app_id and one.account_id == account.id:
            return one
    made = Installation(forge.state.next_id(), app_id, account.id, forge.now())
    forge.state.installations[made.id] = made
    return made


def create_label(
    forge: Forge, repository: Repository, name: str, color: str | None = None, description: str | None = None
) -> Label:
    if not name.strip() or len(name) > LABEL_LIMIT:
        raise invalid("Label", "name", "invalid" if name.strip() else "missing_field")
    if name.lower() in repository.labels:
        raise invalid("Label", "name", "already_exists")
    shade = (color or "ededed").removeprefix("#").lower()
    if not re.fullmatch(r"[0-9a-f]{6}", shade):
        raise invalid("Label", "color")
    if description is not None and len(description) > DESCRIPTION_LIMIT:
        raise invalid("Label", "description", "custom", "description is too long (maximum is 100 characters)")
    label = Label(forge.state.next_id(), name, shade, description)
    repository.labels[name.lower()] = label
    return label


def add_hook(
    forge: Forge,
    url: str,
    secret: str,
    *,
    repository: Repository | None = None,
    wanted: tuple[str, ...] = ("*",),
    app_id: int | None = None,
) -> Hook:
    """Registers the hook and pings it."""
    hook = Hook(
        id=forge.state.next_id(),
        url=url,
        secret=secret,
        created_at=forge.now(),
        repository_id=repository.id if repository else None,
        app_id=app_id,
        events=wanted,
    )
    forge.state.hooks[hook.id] = hook
    app = forge.state.apps.get(app_id) if app_id is not None else None
    if app is not None:
        app.hook_id = hook.id
    events.ping(forge, hook, app)
    return hook


def whole_rule(kind: str, parameters: dict[str, Any]) -> dict[str, Any]:
    """A rule's parameters with the values that GitHub would fill in."""
    if kind == "required_status_checks":
        return {"strict_required_status_checks_policy": False, "required_status_checks": [], **parameters}
    if kind == "pull_request":
        return {
            "dismiss_stale_reviews_on_push": False,
            "require_code_owner_review": False,
            "require_last_push_approval": False,
            "required_approving_review_count": 0,
            "required_review_thread_resolution": False,
            **parameters,
        }
    return parameters
