"""Issues of the bot's own."""

from __future__ import annotations

from kfops.adapters.github.answer import NOT_FOUND
from kfops.adapters.github.auth import Purpose
from kfops.adapters.github.client import REPOSITORY, Client

ISSUES = f"{REPOSITORY}/issues"
_GONE = 410  # what GitHub says of an issue that was deleted


class GitHubIssues:
    def __init__(self, client: Client) -> None:
        self.client = client

    def find_issue(self, repository_id: int, label: str, marker: str) -> int | None:
        """The oldest, should there be several."""
        me = self.client.me(repository_id)
        query: dict[str, str | int] = {"labels": label, "state": "all", "sort": "created", "direction": "asc"}
        found = [
            int(one["number"])
            for one in self.client.every(ISSUES, repository_id, query=query)
            if "pull_request" not in one
            and (one.get("user") or {}).get("id") == me
            and marker in (one["body"] or "")
        ]
        return min(found, default=None)

    def create_issue(self, repository_id: int, *, title: str, body: str, label: str) -> int:
        asked = {"title": title, "body": body, "labels": [label]}
        made = self.client.send("POST", ISSUES, repository_id, Purpose.TELL, body=asked)
        return int(made.accepted()["number"])

    def edit_issue(self, repository_id: int, number: int, body: str) -> bool:
        answer = self.client.send(
            "PATCH",
            f"{ISSUES}/{{issue_number}}",
            repository_id,
            Purpose.TELL,
            body={"body": body},
            issue_number=number,
        )
        if answer.status in {NOT_FOUND, _GONE}:
            return False
        answer.accepted()
        return True
