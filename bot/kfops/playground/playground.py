"""The playground: a forge on one's own machine, and how a program sets it up.

Everything else happens as on GitHub: over REST, over git, or on the page.
"""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Callable, Sequence
from datetime import datetime
from pathlib import Path

from kfops.playground.actions import apps, repositories
from kfops.playground.actions.refs import tell_changes
from kfops.playground.errors import Refusal
from kfops.playground.forge import GIT_FOLDER, Forge
from kfops.playground.git.bare import GitError, snapshot
from kfops.playground.git.merging import identity
from kfops.playground.state import App, Hook, Protection, Repository, RequiredCheck, Role, Rule, Team, User


class Playground(Forge):
    """Repositories are named `owner/name` here; the bare ones lie under `data_dir`, anew with each playground."""

    def __init__(
        self,
        data_dir: Path,
        *,
        clock: Callable[[], datetime],
        base_url: str = "http://127.0.0.1",
        rate_limit: int = 50_000,
    ) -> None:
        super().__init__(data_dir, clock=clock, base_url=base_url, rate_limit=rate_limit)
        data_dir.mkdir(parents=True, exist_ok=True)
        # An earlier playground's numbers begin at 1 too, and what it knew of these repositories is gone.
        for left in (data_dir / GIT_FOLDER).glob("*.git"):
            if left.stem.isdecimal() and (left / "HEAD").is_file():
                shutil.rmtree(left)

    def add_user(
        self,
        login: str,
        *,
        site_admin: bool = False,
        everywhere: Role = Role.NONE,
        kind: str = "User",
        token: str | None = None,
    ) -> User:
        """An account with its token. `everywhere` is a role on every repository, those to come included."""
        with self.lock:
            if self.state.user(login) is not None:
                raise Refusal(422, f"the login {login} is taken")
            made = token or f"ghp_{secrets.token_urlsafe(27)}"
            user = User(self.state.next_id(), login, made, self.now(), kind, site_admin, everywhere)
            self.state.users[user.id] = user
            return user

    def add_team(self, organization: str, slug: str, members: Sequence[str]) -> Team:
        with self.lock:
            owner = self.user(organization)
            owner.kind = "Organization"
            team = Team(
                self.state.next_id(), owner.id, slug, {self.user(login).id: "member" for login in members}
            )
            self.state.teams[team.id] = team
            return team

    def create_repository(
        self, owner: str, name: str, *, default_branch: str = "main", private: bool = False
    ) -> Repository:
        with self.lock:
            return repositories.create(
                self, self.user(owner), name, default_branch=default_branch, private=private
            )

    def fork(self, repository: str, owner: str) -> Repository:
        with self.lock:
            return repositories.fork(self, self.repository(repository), self.user(owner))

    def set_role(self, repository: str, login: str, role: Role) -> None:
        with self.lock:
            self.repository(repository).roles[self.user(login).id] = role

    def add_webhook(self, url: str, secret: str, repo: str | None = None) -> Hook:
        """Without a repository the hook hears of all of them, those to come included."""
        with self.lock:
            return repositories.add_hook(
                self, url, secret, repository=self.repository(repo) if repo else None
            )

    def register_app(
        self,
        name: str,
        private_key: str | None = None,
        *,
        webhook_url: str = "",
        webhook_secret: str = "",
        owner: str | None = None,
    ) -> tuple[App, str]:
        """The app and its private key (PEM), made here unless given. It is installed wherever there are repositories."""
        with self.lock:
            key = private_key or apps.new_key()
            people = [user for user in self.state.users.values() if user.kind != "Bot"]
            if not people:
                raise ValueError(f"the app {name} needs an owner: add a user before the app")
            who = self.user(owner) if owner else people[0]
            app = apps.register(self, name, key, who)
            if webhook_url:
                repositories.add_hook(
                    self, webhook_url, webhook_secret, app_id=app.id, wanted=tuple(app.events)
                )
            return app, key

    def import_directory(
        self,
        repo: str,
        folder: Path,
        *,
        branch: str | None = None,
        message: str = "Import",
        login: str | None = None,
    ) -> str:
        """Puts a folder on a branch (the default one) and answers the commit.

        A folder that is a git work tree comes with its history, as committed; any other as one commit of its files.
        """
        with self.lock:
            repository = self.repository(repo)
            user = self.user(login) if login else self.state.owner(repository)
            bare, onto = self.bare(repository), branch or repository.default_branch
            if (folder / ".git").exists():
                bare.fetch(folder.resolve(), f"HEAD:refs/heads/{onto}")
                sha = bare.refs(f"refs/heads/{onto}")[f"refs/heads/{onto}"]
            else:
                sha = snapshot(bare, folder, onto, message, identity(user.login, user.email, self.now()))
            tell_changes(self, repository, user)
            return sha

    def protect(
        self,
        repo: str,
        branch: str,
        *,
        checks: Sequence[str | RequiredCheck] = (),
        strict: bool = False,
        approvals: int = 0,
        dismiss_stale: bool = False,
        enforce_admins: bool = False,
    ) -> None:
        """Classic branch protection, in place of what there was."""
        needed = tuple(RequiredCheck(one) if isinstance(one, str) else one for one in checks)
        with self.lock:
            protection = Protection(needed, strict, approvals, dismiss_stale, enforce_admins)
            self.repository(repo).protections[branch] = protection

    def add_rule(
        self,
        repo: str,
        kind: str,
        parameters: dict[str, object],
        *,
        branches: Sequence[str] = ("~DEFAULT_BRANCH",),
    ) -> Rule:
        """One rule of a ruleset of its own, `required_status_checks` or `pull_request` for example."""
        with self.lock:
            rule = Rule(
                self.state.next_id(), kind, repositories.whole_rule(kind, dict(parameters)), tuple(branches)
            )
            self.repository(repo).rules.append(rule)
            return rule

    def require_checks(self, repo: str, names: Sequence[str], *, branch: str | None = None) -> None:
        """Classic required status checks of a branch (the default one)."""
        self.protect(repo, branch or self.repository(repo).default_branch, checks=names)

    def close(self) -> None:
        """Sends what waits, then stops the webhooks' thread."""
        self.outbox.close()


__all__ = ["GitError", "Playground", "Refusal", "Role"]
