"""The door in the words of OpenAPI: what a delivery has, and what it is answered."""

from __future__ import annotations

from typing import Any

from kfops.webhook.payloads import EVENTS


def _header(name: str, description: str, **schema: Any) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "required": True,
        "description": description,
        "schema": {"type": "string", **schema},
    }


def _answer(description: str) -> dict[str, Any]:
    said = {"type": "object", "required": ["message"], "properties": {"message": {"type": "string"}}}
    return {"description": description, "content": {"application/json": {"schema": said}}}


_NUMBERED = {"type": "object", "required": ["id"], "properties": {"id": {"type": "integer", "minimum": 1}}}
_REPOSITORY = {
    "type": "object",
    "required": ["id", "full_name", "default_branch"],
    "properties": {
        "id": {"type": "integer", "minimum": 1},
        "full_name": {"type": "string", "example": "ada/churn"},
        "default_branch": {"type": "string"},
    },
}

DELIVERY: dict[str, Any] = {
    "summary": "A webhook of the forge",
    "parameters": [
        _header(
            "X-GitHub-Event", f"{', '.join(EVENTS)}; others are stored and mean nothing", example=EVENTS[0]
        ),
        _header("X-GitHub-Delivery", "its id, the same when it is sent again", maxLength=128),
        _header(
            "X-Hub-Signature-256",
            "HMAC of the raw body with the webhook's secret",
            pattern="^sha256=[0-9a-f]{64}$",
        ),
    ],
    "requestBody": {
        "required": True,
        "description": "As the forge documents it, at most 2 MiB; only the fields that are read are checked.",
        "content": {
            "application/json": {
                "schema": {
                    "type": "object",
                    "required": ["repository"],
                    "properties": {
                        "action": {"type": "string"},
                        "repository": _REPOSITORY,
                        "installation": _NUMBERED,
                        "issue": {"type": "object"},
                        "comment": {"type": "object"},
                        "pull_request": {"type": "object"},
                        "sender": {"type": "object"},
                        "check_run": {"type": "object"},
                        "check_suite": {"type": "object"},
                        "sha": {"type": "string"},
                    },
                }
            }
        },
    },
    "responses": {
        "202": _answer("Stored; or the repository is not served, and nothing was."),
        "400": _answer("The delivery is not as the forge describes it; the message says where."),
        "401": _answer("The signature is missing or wrong."),
        "413": _answer("The body is too large."),
        "503": _answer("The ledger is away: deliver it again."),
    },
}
