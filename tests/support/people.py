"""What people do at the forge: they open, comment, push, approve, and change their minds."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

from tests.support.model_repository import Change
from tests.support.servers.forge_here import commit

from kfops.playground.actions import checks, comments, pulls, reviews
from kfops.playground.playground import Playground
from kfops.playground.roles import Caller
from kfops.playground.state import PullRequest, Repository, Role

REPOSITORY = "olga/churn"


@dataclass(repr=False)
class People(ABC):
    """Each of these is told to the bot at once, by `deliver`, unless the mail is held."""

    playground: Playground
    repository: Repository

    @abstractmethod
    def deliver(self) -> None:
        """Webhooks that wait arrive."""

    def pull_request(
        self, author: str, change: Change, *, branch: str = "", title: str = "", **more: Any
    ) -> int:
        """Opens one and tells its number. `more`: draft=True, base="other"."""
        number = self.repository.last_number + 1
        head = branch or f"change-{number}"
        by = self.playground.user(author)
        commit(self.playground, self.repository, head, change, onto=self.repository.default_branch, by=by)
        asked = {"base": self.repository.default_branch, "body": None, "draft": False, **more}
        with self.playground.lock:
            made = pulls.create(
                self.playground,
                self.repository,
                self.caller(author),
                title=title or f"Change {number}",
                head=head,
                **asked,
            )
        self.deliver()
        return made.number

    def comment(self, number: int, text: str, by: str = "ana") -> int:
        """Its id; the webhook has arrived when this returns, unless the mail is held."""
        with self.playground.lock:
            made = comments.create(self.playground, self.repository, self.pull(number), text, self.caller(by))
        self.deliver()
        return made.id

    def edit_comment(self, comment: int, text: str, by: str = "ana") -> None:
        with self.playground.lock:
            found = self.repository.comments[comment]
            comments.edit(self.playground, self.repository, found, text, self.caller(by))
        self.deliver()

    def delete_comment(self, comment: int, by: str = "ana") -> None:
        with self.playground.lock:
            comments.delete(
                self.playground, self.repository, self.repository.comments[comment], self.caller(by)
            )
        self.deliver()

    def push(self, number: int, change: Change, by: str = "") -> str:
        """Onto the branch of the pull request; the new commit."""
        pull = self.pull(number)
        author = self.playground.user(by) if by else self.playground.state.users[pull.author_id]
        sha = commit(self.playground, self.repository, pull.head_ref, change, onto=pull.head_ref, by=author)
        self.deliver()
        return sha

    def commit_to_main(self, change: Change, by: str = "olga") -> str:
        main = self.repository.default_branch
        sha = commit(self.playground, self.repository, main, change, onto=main, by=self.playground.user(by))
        self.deliver()
        return sha

    def approve(self, number: int, by: str, commit_sha: str | None = None) -> int:
        with self.playground.lock:
            made = reviews.create(
                self.playground,
                self.repository,
                self.pull(number),
                self.caller(by),
                event="APPROVE",
                commit=commit_sha,
            )
        self.deliver()
        return made.id

    def dismiss(self, number: int, review: int, by: str = "olga") -> None:
        with self.playground.lock:
            pull = self.pull(number)
            reviews.dismiss(self.playground, self.repository, pull, review, "No.", self.caller(by))
        self.deliver()

    def close(self, number: int, by: str = "ana") -> None:
        with self.playground.lock:
            pulls.set_state(self.playground, self.repository, self.pull(number), "closed", self.caller(by))
        self.deliver()

    def give(self, login: str, role: Role) -> None:
        """A role on the repository; Role.NONE takes it away (the repository stays readable)."""
        self.playground.set_role(REPOSITORY, login, role)

    def report_status(self, number: int, name: str, state: str = "success", by: str = "bo") -> None:
        """What some CI says of the head."""
        with self.playground.lock:
            sha = self.pull(number).head_sha
            checks.create_status(
                self.playground, self.repository, sha, self.caller(by), state=state, context=name
            )
        self.deliver()

    def pull(self, number: int) -> PullRequest:
        return self.repository.pulls[number]

    def caller(self, login: str) -> Caller:
        return Caller(user=self.playground.user(login))
