"""GitHub's JSON as the core's values. Pure; only the fields that are used, once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kfops.domain.pull_request import (
    Actor,
    Comment,
    Permission,
    PullRequest,
    Repository,
    Review,
    ReviewState,
)

GHOST = Actor(id=0, login="ghost", is_human=False)  # whose account is gone

_ROLES = {
    "none": Permission.NONE,
    "read": Permission.READ,
    "triage": Permission.TRIAGE,
    "write": Permission.WRITE,
    "maintain": Permission.MAINTAIN,
    "admin": Permission.ADMIN,
}
_REVIEW_STATES = {state.value.upper(): state for state in ReviewState}
_PULL_COMMENT = re.compile(r"/pull/(\d+)#")

Json = Mapping[str, Any]


def actor(found: Json | None) -> Actor:
    if found is None:
        return GHOST
    return Actor(int(found["id"]), str(found["login"]), is_human=found.get("type", "User") == "User")


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def repository(found: Json) -> Repository:
    return Repository(
        id=int(found["id"]),
        full_name=str(found["full_name"]),
        default_branch=str(found["default_branch"]),
        private=bool(found.get("private", False)),
        html_url=str(found.get("html_url") or ""),
    )


def pull_request(found: Json) -> PullRequest:
    head, base = found["head"], found["base"]
    source = head.get("repo")
    is_merged = bool(found.get("merged") or found.get("merged_at"))
    return PullRequest(
        number=int(found["number"]),
        title=str(found["title"]),
        author=actor(found.get("user")),
        is_open=found["state"] == "open",
        is_draft=bool(found.get("draft", False)),
        is_merged=is_merged,
        head_sha=str(head["sha"]),
        head_ref=str(head["ref"]),
        head_repository_id=int(source["id"]) if source else None,
        base_ref=str(base["ref"]),
        base_sha=str(base["sha"]),
        mergeable=found.get("mergeable"),
        labels=tuple(str(label["name"]) for label in found.get("labels", ())),
        html_url=str(found.get("html_url") or ""),
        # Before the merge this field is a trial merge, which says nothing.
        merge_sha=found.get("merge_commit_sha") if is_merged else None,
    )


def review(found: Json) -> Review:
    """A state that is not known counts as pending: it neither approves nor refuses."""
    submitted = found.get("submitted_at")
    return Review(
        reviewer=actor(found.get("user")),
        state=_REVIEW_STATES.get(str(found["state"]).upper(), ReviewState.PENDING),
        commit_sha=str(found.get("commit_id") or ""),
        submitted_at=moment(submitted) if submitted else None,
    )


def comment(found: Json) -> Comment:
    """`pull_request` is None for a comment on an issue."""
    number = _PULL_COMMENT.search(str(found.get("html_url") or ""))
    return Comment(
        id=int(found["id"]),
        author=actor(found.get("user")),
        body=str(found.get("body") or ""),
        created_at=moment(found["created_at"]),
        updated_at=moment(found["updated_at"]),
        pull_request=int(number[1]) if number else None,
    )


def permission(found: Json, asked: Actor) -> Permission:
    """By `role_name`; of a role that an organisation made itself only its base, `permission`, is known.

    UNKNOWN when the answer is about another account than the one that was asked about: logins change hands (R6).
    """
    if (found.get("user") or {}).get("id") != asked.id:
        return Permission.UNKNOWN
    base = _ROLES.get(str(found.get("permission")), Permission.UNKNOWN)
    return _ROLES.get(str(found.get("role_name")), base)
