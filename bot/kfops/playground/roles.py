"""Who is calling, and what that caller may do."""

from __future__ import annotations

from dataclasses import dataclass, field

from kfops.playground.errors import Refusal, forbidden, not_found
from kfops.playground.forge import Forge
from kfops.playground.state import App, Installation, Repository, Role, User

_LEVELS = {"read": 1, "write": 2, "admin": 3}


@dataclass(frozen=True)
class Caller:
    """A user by token, an app's installation (its bot acts), an app by its own JWT, or nobody."""

    user: User | None = None
    app: App | None = None
    installation: Installation | None = None
    permissions: dict[str, str] = field(default_factory=dict)  # of an installation token
    repository_ids: tuple[int, ...] | None = None

    @property
    def account(self) -> User:
        """Whoever acts; 401 where nobody does."""
        if self.user is None:
            raise Refusal(401, "Requires authentication")
        return self.user

    @property
    def app_id(self) -> int | None:
        """The app in whose name an installation acts."""
        return self.app.id if self.app is not None and self.installation is not None else None


def role_of(repository: Repository, user: User | None) -> Role:
    """The highest of: owner, site admin, collaborator, a role held everywhere, and everybody's on a public repository."""
    open_to_all = Role.NONE if repository.private else Role.READ
    if user is None:
        return open_to_all
    if user.id == repository.owner_id or user.site_admin:
        return Role.ADMIN
    return max(open_to_all, user.everywhere, repository.roles.get(user.id, Role.NONE))


def caller_role(repository: Repository, caller: Caller) -> Role:
    if caller.installation is not None:
        reached = caller.installation.account_id == repository.owner_id and (
            caller.repository_ids is None or repository.id in caller.repository_ids
        )
        return Role.WRITE if reached else role_of(repository, None)
    return role_of(repository, caller.user)


def see(repository: Repository | None, caller: Caller) -> Repository:
    """The repository, if the caller may know that it exists."""
    if repository is None or caller_role(repository, caller) < Role.READ:
        raise not_found()
    return repository


def require(
    repository: Repository,
    caller: Caller,
    role: Role,
    *,
    scopes: tuple[str, ...] = (),
    level: str = "write",
) -> User:
    """Whoever acts, if they may: users by role, installations by one of the token's permission `scopes`."""
    user = caller.account
    if caller_role(repository, caller) < role:
        hidden = caller_role(repository, caller) < Role.READ
        raise (
            not_found()
            if hidden
            else forbidden("Must have admin rights to Repository." if role == Role.ADMIN else _denied(caller))
        )
    if caller.installation is not None:
        granted = max((_LEVELS.get(caller.permissions.get(scope, ""), 0) for scope in scopes), default=0)
        if granted < _LEVELS[level]:
            raise forbidden("Resource not accessible by integration")
    return user


def _denied(caller: Caller) -> str:
    return (
        "Resource not accessible by integration"
        if caller.installation
        else "Resource not accessible by personal access token"
    )


def association(forge: Forge, repository: Repository, user_id: int) -> str:
    """GitHub's `author_association`."""
    if user_id == repository.owner_id:
        return "OWNER"
    user = forge.state.users[user_id]
    if repository.roles.get(user_id, Role.NONE) > Role.NONE or user.everywhere > Role.NONE:
        return "COLLABORATOR"
    contributed = any(pull.author_id == user_id and pull.is_merged for pull in repository.pulls.values())
    return "CONTRIBUTOR" if contributed else "NONE"
