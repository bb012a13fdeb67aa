"""One delivery as GitHub sends it: a comment on a pull request, from the playground, whole and of its real size."""

from __future__ import annotations

import json
import subprocess
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kfops.playground.actions import comments, pulls
from kfops.playground.playground import Playground
from kfops.playground.roles import Caller
from kfops.playground.state import Delivery, Hook
from kfops.playground.webhooks.delivery import Outbox

SECRET = "bench-secret"
PLACE = "the-id-of-the-comment"
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


class Kept(Outbox):
    """Webhooks are not sent but kept here."""

    def __init__(self, *given: Any) -> None:
        super().__init__(*given)
        self.bodies: list[tuple[str, bytes]] = []

    def _queue(self, hook: Hook, delivery: Delivery) -> None:
        assert hook.active
        self.bodies.append((delivery.event, delivery.body))


def comment(folder: Path, text: str) -> bytes:
    """The body of `issue_comment.created` on a pull request, with PLACE where the comment has its id."""
    playground = Playground(folder / "forge", clock=lambda: NOW)
    kept = playground.outbox = Kept(playground.state, playground.now)
    user = playground.add_user("ada")
    repository = playground.create_repository("ada", "churn")
    playground.register_app("kfops", webhook_url="http://bot.invalid/hooks", webhook_secret=SECRET)
    source = folder / "files"
    _git(folder, "init", "-q", "-b", "main", str(source))
    for branch in ("main", "better"):
        (source / "README.md").write_text(branch)
        _git(source, "add", "README.md")
        _git(source, "commit", "-q", "-m", f"The {branch} one")
        playground.import_directory("ada/churn", source, branch=branch)
    by = Caller(user=user)
    with playground.lock:
        pull = pulls.create(
            playground,
            repository,
            by,
            title="Better",
            head="better",
            base="main",
            body="A model.",
            draft=False,
        )
        made = comments.create(playground, repository, pull, text, by)
    playground.close()
    body = next(body for event, body in reversed(kept.bodies) if event == "issue_comment")
    payload = json.loads(body)
    assert payload["comment"]["id"] == made.id
    payload["comment"]["id"] = PLACE
    return json.dumps(payload, separators=(",", ":")).encode().replace(f'"{PLACE}"'.encode(), PLACE.encode())


def _git(folder: Path, *words: str) -> None:
    who = ["-c", "user.name=ada", "-c", "user.email=ada@example.com"]
    subprocess.run(["git", *who, *words], cwd=folder, check=True)
