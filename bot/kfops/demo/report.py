"""The report of a scene: what the forge and the endpoints say at its end."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import httpx

from kfops.demo.ask import Conversation, Person, serving_url
from kfops.demo.story import Story
from kfops.demo.world import OWNER, REPOSITORY, World

ENVIRONMENTS = ("production", "staging")


def collect(world: World, conversations: list[Conversation], story: Story, request: bytes) -> dict[str, Any]:
    reader = world.people[OWNER]
    return {
        "forge": world.forge_url,
        "users": [_user(reader, person) for person in world.people.values()],
        "pull_requests": [_pull_request(one) for one in conversations],
        "serving": {name: serving(reader, name, request) for name in ENVIRONMENTS},
        "timeline": [asdict(moment) for moment in story.moments],
        "seconds": round(story.seconds, 1),
    }


def serving(reader: Person, environment: str, request: bytes) -> dict[str, str | None]:
    """Asked of the endpoint itself: which model version answers a prediction, and the digest of the model."""
    url = serving_url(reader, REPOSITORY, environment)
    headers: httpx.Headers | None = None
    if url:
        with suppress(httpx.HTTPError):
            answer = httpx.post(f"{url}/predict", content=request, timeout=10, trust_env=False)
            headers = answer.headers if answer.is_success else None
    version, digest = ("x-kfops-version", "x-kfops-revision")
    return {
        "url": url,
        "model_version": headers.get(version) if headers else None,
        "digest": headers.get(digest) if headers else None,
    }


def write(path: Path, content: dict[str, Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n")


def _user(reader: Person, person: Person) -> dict[str, str]:
    found = reader.get(f"/repos/{REPOSITORY}/collaborators/{person.login}/permission")
    return {"login": person.login, "token": person.token, "permission": found["role_name"]}


def _pull_request(conversation: Conversation) -> dict[str, Any]:
    pull = conversation.pull()
    return {
        "number": pull["number"],
        "state": pull["state"],
        "merged": pull["merged"],
        "merge_sha": pull["merge_commit_sha"] if pull["merged"] else None,
        "labels": [label["name"] for label in pull["labels"]],
        "comments": [
            {
                "author": one["user"]["login"],
                "body": one["body"],
                "created_at": one["created_at"],
                "updated_at": one["updated_at"],
            }
            for one in conversation.comments()
        ],
    }
