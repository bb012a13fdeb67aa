"""GitHub's deliveries as the domain's events. Only the fields that are read are declared; the rest may change."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import AwareDatetime, BaseModel, Field, ValidationError

from kfops.domain.events import Commented, Event, Poked, PullRequestChanged
from kfops.domain.pull_request import Actor, Comment, Repository

Id = Annotated[int, Field(ge=1, lt=2**63)]
Name = Annotated[str, Field(max_length=255, pattern=r"^[^\x00]*$")]  # what PostgreSQL can keep
Sha = Annotated[str, Field(pattern=r"^[0-9a-f]{40}$")]
_GHOST = Actor(id=0, login="ghost", is_human=False)
_PROBLEMS_TOLD = 3


@dataclass(frozen=True)
class PayloadProblem:
    """A delivery that is not what GitHub sends under that name; `message` has the places, never the contents."""

    event: str
    message: str


class _User(BaseModel):
    id: Id
    login: Name
    type: str = "User"

    def actor(self) -> Actor:
        return Actor(self.id, self.login, is_human=self.type == "User")


class _Numbered(BaseModel):
    id: Id


class _Repository(BaseModel):
    id: Id
    full_name: str = Field(max_length=255, pattern=r"^[^/\s\x00]+/[^/\s\x00]+$")
    default_branch: Name
    private: bool = False
    html_url: str = ""

    def value(self) -> Repository:
        return Repository(self.id, self.full_name, self.default_branch, self.private, self.html_url)


class _Delivery(BaseModel):
    """What all of them have. `installation` is there for apps only."""

    repository: _Repository
    installation: _Numbered | None = None

    @property
    def installation_id(self) -> int | None:
        return self.installation.id if self.installation else None


class _Issue(BaseModel):
    number: Id
    state: Literal["open", "closed"]
    pull_request: Mapping[str, object] | None = None


class _Comment(BaseModel):
    id: Id
    user: _User | None
    body: str | None = ""
    created_at: AwareDatetime
    updated_at: AwareDatetime


class _IssueComment(_Delivery):
    action: str
    issue: _Issue
    comment: _Comment

    def event(self) -> Event | None:
        if self.action != "created" or self.issue.pull_request is None or self.issue.state != "open":
            return None
        said = self.comment
        comment = Comment(
            id=said.id,
            author=said.user.actor() if said.user else _GHOST,
            body=said.body or "",
            created_at=said.created_at,
            updated_at=said.updated_at,
            pull_request=self.issue.number,
        )
        return Commented(self.repository.value(), self.installation_id, self.issue.number, comment)


class _Side(BaseModel):
    sha: Sha
    ref: Name
    repo: _Numbered | None = None


class _PullRequest(BaseModel):
    number: Id
    state: Literal["open", "closed"]
    user: _User | None
    head: _Side
    base: _Side
    updated_at: AwareDatetime
    merged: bool = False


class _PullRequestEvent(_Delivery):
    action: str
    pull_request: _PullRequest
    sender: _User
    before: Sha | None = None

    def event(self) -> Event:
        pull = self.pull_request
        return PullRequestChanged(
            repository=self.repository.value(),
            installation_id=self.installation_id,
            number=pull.number,
            action=self.action,
            sender=self.sender.actor(),
            author=pull.user.actor() if pull.user else _GHOST,
            head_sha=pull.head.sha,
            head_repository_id=pull.head.repo.id if pull.head.repo else None,
            base_ref=pull.base.ref,
            base_sha=pull.base.sha,
            is_open=pull.state == "open",
            is_merged=pull.merged,
            updated_at=pull.updated_at,
            before_sha=self.before,
        )


class _Reviewed(BaseModel):
    number: Id
    head: _Side


class _Review(_Delivery):
    pull_request: _Reviewed

    def event(self) -> Event:
        pull = self.pull_request
        return _poke(self, (pull.number,), pull.head.sha, "pull_request_review")


class _Mentioned(BaseModel):
    number: Id


class _Checked(BaseModel):
    head_sha: Sha
    pull_requests: tuple[_Mentioned, ...] | None = ()

    @property
    def numbers(self) -> tuple[int, ...]:
        return tuple(one.number for one in self.pull_requests or ())


class _CheckRun(_Delivery):
    check_run: _Checked

    def event(self) -> Event:
        return _poke(self, self.check_run.numbers, self.check_run.head_sha, "check_run")


class _CheckSuite(_Delivery):
    check_suite: _Checked

    def event(self) -> Event:
        return _poke(self, self.check_suite.numbers, self.check_suite.head_sha, "check_suite")


class _Status(_Delivery):
    sha: Sha

    def event(self) -> Event:
        return _poke(self, (), self.sha, "status")


def _poke(delivery: _Delivery, numbers: tuple[int, ...], sha: str, reason: str) -> Poked:
    return Poked(delivery.repository.value(), delivery.installation_id, numbers, sha, reason)


_READERS: Mapping[str, Callable[[bytes], Event | None]] = {
    "issue_comment": lambda raw: _IssueComment.model_validate_json(raw).event(),
    "pull_request": lambda raw: _PullRequestEvent.model_validate_json(raw).event(),
    "pull_request_review": lambda raw: _Review.model_validate_json(raw).event(),
    "check_run": lambda raw: _CheckRun.model_validate_json(raw).event(),
    "check_suite": lambda raw: _CheckSuite.model_validate_json(raw).event(),
    "status": lambda raw: _Status.model_validate_json(raw).event(),
}
EVENTS = tuple(_READERS)  # what a webhook of ours needs to be sent


def parse(event_name: str, raw: bytes) -> Event | PayloadProblem | None:
    """None for deliveries that mean nothing to the bot. Only for bodies whose signature has been verified."""
    reader = _READERS.get(event_name)
    if reader is None:
        return None
    try:
        return reader(raw)
    except ValidationError as error:
        return PayloadProblem(event_name, _told(event_name, error))


def _told(event_name: str, error: ValidationError) -> str:
    problems = error.errors(include_url=False, include_input=False, include_context=False)
    if problems and problems[0]["type"] == "json_invalid":
        return (
            f"the body of the {event_name} delivery is no JSON ({problems[0]['msg']}); "
            "set the webhook's content type to application/json"
        )
    told = [
        f"{'.'.join(str(part) for part in one['loc']) or 'the body'}: {one['msg']}"
        for one in problems[:_PROBLEMS_TOLD]
    ]
    more = f" and {len(problems) - _PROBLEMS_TOLD} more" if len(problems) > _PROBLEMS_TOLD else ""
    return f"the {event_name} delivery is not as GitHub describes it: {'; '.join(told)}{more}"
