"""Talking to a forge as people do: over REST, each with a token of their own."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import httpx

from kfops.demo.story import SceneError, wait_for

ENDINGS = {"rocket": "succeeded", "confused": "did not succeed", "-1": "refused"}
_PAGE = 100
_LINK = re.compile(r"\[([^\]]*)\]\([^)]*\)")


@dataclass(frozen=True)
class Reply:
    """How a command ended, by the bot's reaction to it, and the bot's reply as it stood then."""

    ending: str
    body: str

    @property
    def headline(self) -> str:
        return headline(self.body)


def headline(body: str) -> str:
    """The first line of a comment as a terminal shows it: without its marker, its links and its code marks."""
    lines = (line.strip("# *>") for line in body.splitlines() if not line.startswith("<!--"))
    return _LINK.sub(r"\1", next((line for line in lines if line), "")).replace("`", "")


class Person:
    """A user of the forge. Raises SceneError for any answer that is not a success."""

    def __init__(self, login: str, token: str, api_url: str) -> None:
        self.login, self.token = login, token
        self._client = httpx.Client(
            base_url=api_url, headers={"authorization": f"Bearer {token}"}, timeout=30, trust_env=False
        )

    def get(self, path: str, **query: Any) -> Any:
        return self._done(self._client.get(path, params=query))

    def post(self, path: str, **content: Any) -> Any:
        return self._done(self._client.post(path, json=content))

    def put(self, path: str, **content: Any) -> Any:
        return self._done(self._client.put(path, json=content))

    def close(self) -> None:
        self._client.close()

    @staticmethod
    def _done(answer: httpx.Response) -> Any:
        if answer.is_error:
            asked = f"{answer.request.method} {answer.request.url.path}"
            raise SceneError(f"{asked} was answered with HTTP {answer.status_code}: {answer.text[:300]}")
        return answer.json() if answer.content else None


@dataclass(frozen=True)
class Conversation:
    """One pull request, and who reads it. `repo` is owner/name."""

    reader: Person
    repo: str
    number: int

    def command(self, who: Person, text: str, within_s: float, hear: Callable[[str], object]) -> Reply:
        """Comment, and wait until the bot has ended with it. `hear` gets the reply's headline when it changes."""
        comment = who.post(f"/repos/{self.repo}/issues/{self.number}/comments", body=text)["id"]
        heard = ""

        def look() -> str | None:
            nonlocal heard
            if (said := self.last_words(comment)) and (line := headline(said)) != heard:
                heard = line
                hear(line)
            return self._ending(comment)

        ending = wait_for(
            look,
            f"the end of `{text}` in pull request {self.number}",
            within_s,
            every_s=0.5,
            last=lambda: f"The bot's last words:\n{self.last_words(comment)}",
        )
        return Reply(ending, self.last_words(comment))

    def approve(self, who: Person) -> None:
        path = f"/repos/{self.repo}/pulls/{self.number}/reviews"
        who.post(path, event="APPROVE", commit_id=self.pull()["head"]["sha"], body="Good evidence.")

    def pull(self) -> dict[str, Any]:
        found: dict[str, Any] = self.reader.get(f"/repos/{self.repo}/pulls/{self.number}")
        return found

    def labels(self) -> list[str]:
        return [label["name"] for label in self.pull()["labels"]]

    def comments(self) -> list[dict[str, Any]]:
        path = f"/repos/{self.repo}/issues/{self.number}/comments"
        found: list[dict[str, Any]] = self.reader.get(path, per_page=_PAGE)
        return found

    def last_words(self, after: int = 0) -> str:
        """The newest comment of a bot since the comment `after`."""
        said = [one["body"] for one in self.comments() if one["user"]["type"] == "Bot" and one["id"] > after]
        return said[-1] if said else ""

    def _ending(self, comment: int) -> str | None:
        path = f"/repos/{self.repo}/issues/comments/{comment}/reactions"
        marks = [one["content"] for one in self.reader.get(path, per_page=_PAGE)]
        return next((ENDINGS[mark] for mark in marks if mark in ENDINGS), None)


def serving_url(reader: Person, repo: str, environment: str) -> str | None:
    """Where an environment answers, as its newest deployment with an address says."""
    for deployment in reader.get(f"/repos/{repo}/deployments", environment=environment):
        statuses = reader.get(f"/repos/{repo}/deployments/{deployment['id']}/statuses")
        url = next((one["environment_url"] for one in statuses if one.get("environment_url")), None)
        if url:
            return str(url)
    return None
