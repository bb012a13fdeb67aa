"""How the playground says no: GitHub's status, sentence and machine-readable errors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any


class Refusal(Exception):  # noqa: N818 - an answer, not a defect
    """An answer other than success. Raised by an action, rendered by the door that called it."""

    def __init__(self, status: int, message: str, errors: Sequence[Mapping[str, Any] | str] = ()) -> None:
        super().__init__(message)
        self.status = status
        self.message = message
        self.errors = tuple(errors)


def not_found() -> Refusal:
    """GitHub also says this of what the caller may not see."""
    return Refusal(404, "Not Found")


def forbidden(message: str) -> Refusal:
    return Refusal(403, message)


def invalid(resource: str, field: str, code: str = "invalid", message: str = "") -> Refusal:
    """A field that GitHub would refuse; `code` is one of its own (missing, missing_field, invalid, already_exists, custom …)."""
    error = {"resource": resource, "field": field, "code": code}
    if message:
        error["message"] = message
    return Refusal(422, "Validation Failed", [error])
