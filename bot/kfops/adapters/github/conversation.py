"""Comments, reactions and labels."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

from kfops.adapters.github import wire
from kfops.adapters.github.answer import INVALID, NOT_FOUND
from kfops.adapters.github.auth import Purpose
from kfops.adapters.github.client import REPOSITORY, Client
from kfops.domain.pull_request import Comment, Reaction

ISSUE = f"{REPOSITORY}/issues/{{issue_number}}"
COMMENT = f"{REPOSITORY}/issues/comments/{{comment_id}}"
LABEL_COLOR = "5319e7"


class GitHubConversation:
    def __init__(self, client: Client) -> None:
        self.client = client
        self._made_labels: set[tuple[int, str]] = set()
        self._said_lock = threading.Lock()

    def comment(self, repository_id: int, comment_id: int) -> Comment | None:
        answer = self.client.send("GET", COMMENT, repository_id, comment_id=comment_id)
        return None if answer.status == NOT_FOUND else wire.comment(answer.accepted())

    def comments_since(self, repository_id: int, since: datetime) -> Iterator[Comment]:
        query: dict[str, str | int] = {"since": _zulu(since), "sort": "created", "direction": "asc"}
        for answer in self.client.pages(f"{REPOSITORY}/issues/comments", repository_id, query=query):
            for comment in map(wire.comment, answer.data):
                # GitHub's `since` is about changes: an old comment that was edited is among them.
                if comment.pull_request is not None and comment.created_at >= since:
                    yield comment

    def find_comment(self, repository_id: int, number: int, marker: str) -> int | None:
        return next(self._own(repository_id, number, marker), None)

    def _own(self, repository_id: int, number: int, marker: str) -> Iterator[int]:
        me = self.client.me(repository_id)
        for one in self.client.every(f"{ISSUE}/comments", repository_id, issue_number=number):
            comment = wire.comment(one)
            if comment.author.id == me and marker in comment.body:
                yield comment.id

    def create_comment(self, repository_id: int, number: int, body: str) -> int:
        made = self.client.send(
            "POST",
            f"{ISSUE}/comments",
            repository_id,
            Purpose.TELL,
            body={"body": body},
            issue_number=number,
        )
        return int(made.accepted()["id"])

    def edit_comment(self, repository_id: int, comment_id: int, body: str) -> None:
        answer = self.client.send(
            "PATCH", COMMENT, repository_id, Purpose.TELL, body={"body": body}, comment_id=comment_id
        )
        answer.accepted()

    def keep_one_comment(self, repository_id: int, number: int, marker: str, keep: int) -> None:
        for one in [found for found in self._own(repository_id, number, marker) if found != keep]:
            gone = self.client.send("DELETE", COMMENT, repository_id, Purpose.TELL, comment_id=one)
            if gone.status != NOT_FOUND:
                gone.accepted()

    def react(self, repository_id: int, comment_id: int, reaction: Reaction) -> None:
        """GitHub answers with the one that is there already, so this is one call and idempotent."""
        self.client.send(
            "POST",
            f"{COMMENT}/reactions",
            repository_id,
            Purpose.TELL,
            body={"content": reaction.value},
            comment_id=comment_id,
        ).accepted()

    def set_labels(
        self, repository_id: int, number: int, *, add: Sequence[str] = (), remove: Sequence[str] = ()
    ) -> None:
        for name in add:
            self._make(repository_id, name)
        if add:
            body = {"labels": list(add)}
            template = f"{ISSUE}/labels"
            self.client.send(
                "POST", template, repository_id, Purpose.TELL, body=body, issue_number=number
            ).accepted()
        for name in remove:
            template = f"{ISSUE}/labels/{{name}}"
            gone = self.client.send(
                "DELETE", template, repository_id, Purpose.TELL, issue_number=number, name=name
            )
            if gone.status != NOT_FOUND:
                gone.accepted()

    def _make(self, repository_id: int, name: str) -> None:
        with self._said_lock:
            if (repository_id, name) in self._made_labels:
                return
        body = {"name": name, "color": LABEL_COLOR}
        made = self.client.send("POST", f"{REPOSITORY}/labels", repository_id, Purpose.TELL, body=body)
        if made.status != INVALID or "already_exists" not in made.message:
            made.accepted()
        with self._said_lock:
            self._made_labels.add((repository_id, name))

    def labelled(self, repository_id: int, label: str) -> tuple[int, ...]:
        query = {"labels": label, "state": "all"}
        found = self.client.every(f"{REPOSITORY}/issues", repository_id, query=query)
        return tuple(sorted(int(one["number"]) for one in found if one.get("pull_request")))


def _zulu(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
