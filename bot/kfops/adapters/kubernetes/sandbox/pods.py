"""How a sandbox's Job is doing, and if badly, why, from what the cluster says of it. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from kfops.adapters.kubernetes.client import condition
from kfops.ports.errors import Refused, Unavailable

_HEAD = 400
_BACK_OFF = {"ImagePullBackOff", "ErrImageNeverPull"}
_WRONG = {"InvalidImageName", "CreateContainerConfigError", "CreateContainerError", "RunContainerError"}


class Why(Enum):
    """Why there is no answer."""

    DEADLINE = auto()  # it ran until the Job's deadline
    NOT_STARTED = auto()  # the deadline came before it ran
    OUT_OF_MEMORY = auto()
    OUT_OF_DISK = auto()
    EVICTED = auto()
    IMAGE = auto()  # it cannot be pulled
    QUOTA = auto()  # the namespace has no room for its pod
    NOT_ALLOWED = auto()  # the cluster takes no such pod
    FIRST = auto()  # a container before the main one failed
    GONE = auto()  # somebody took the pod away


@dataclass(frozen=True)
class Trouble:
    """`said` is Kubernetes' own sentence; `pod` and `container` are known where a log may say more."""

    why: Why
    said: str = ""
    pod: str = ""
    container: str = ""


@dataclass(frozen=True)
class Over:
    """Its container has ended, well or not: its log says the rest."""

    pod: str
    code: int


@dataclass(frozen=True)
class Going:
    """`said`: what it waits for, where the cluster says so. `is_running`: its container runs."""

    said: str = ""
    is_running: bool = False


def state(
    job: Mapping[str, Any],
    pods: Sequence[Mapping[str, Any]],
    events: Sequence[Mapping[str, Any]],
    before: Going,
) -> Going | Over | Trouble:
    """`pods` are those of this very Job, `events` what was said about it, `before` how it was: a pod is deleted with
    its Job's deadline. One container is no init container.
    """
    pod = pods[-1] if pods else None
    status = (pod or {}).get("status") or {}
    main: Mapping[str, Any] = next(iter(status.get("containerStatuses") or ()), {})
    ended = (main.get("state") or {}).get("terminated")
    if pod is not None and ended:
        if ended.get("reason") == "OOMKilled":
            return Trouble(Why.OUT_OF_MEMORY, str(ended.get("message") or ""))
        if status.get("reason") == "Evicted":
            return _evicted(status)
        return Over(str(pod["metadata"]["name"]), int(ended.get("exitCode", 0)))
    name = str(pod["metadata"]["name"]) if pod else ""
    found = next(_troubles(name, status), None) or (_no_pod(events) if pod is None else None)
    failed = condition((job.get("status") or {}).get("conditions"), "Failed")
    if failed.get("status") == "True":
        return found or _failed(failed, before)
    is_running = "running" in (main.get("state") or {})
    return found or Going(
        _waits_for(status) or ("" if is_running else before.said), is_running or before.is_running
    )


def _failed(failed: Mapping[str, Any], before: Going) -> Trouble:
    if failed.get("reason") != "DeadlineExceeded":
        return Trouble(Why.GONE, str(failed.get("message") or failed.get("reason") or ""))
    return Trouble(Why.DEADLINE) if before.is_running else Trouble(Why.NOT_STARTED, before.said)


def _troubles(pod: str, status: Mapping[str, Any]) -> Iterator[Trouble]:
    if status.get("reason") == "Evicted":
        yield _evicted(status)
    for one in status.get("initContainerStatuses") or ():
        ended = (one.get("state") or {}).get("terminated") or {}
        if ended.get("exitCode"):
            why = Why.OUT_OF_MEMORY if ended.get("reason") == "OOMKilled" else Why.FIRST
            yield Trouble(why, str(ended.get("reason") or "Error"), pod, str(one.get("name")))
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (one.get("state") or {}).get("waiting") or {}
        reason, said = str(waiting.get("reason", "")), str(waiting.get("message") or "")
        if reason in _BACK_OFF:
            yield Trouble(Why.IMAGE, f"{reason}: {said}"[:_HEAD])
        elif reason in _WRONG:
            yield Trouble(Why.NOT_ALLOWED, f"{reason}: {said}"[:_HEAD])


def _evicted(status: Mapping[str, Any]) -> Trouble:
    """A volume or a container that grew too large is the code's own doing; a node that ran short is not."""
    said = str(status.get("message") or "")[:_HEAD]
    return Trouble(Why.OUT_OF_DISK if "exceed" in said else Why.EVICTED, said)


def _no_pod(events: Sequence[Mapping[str, Any]]) -> Trouble | None:
    """The Job's controller could not make its pod."""
    for one in events:
        said = str(one.get("message") or "")
        if one.get("reason") != "FailedCreate":
            continue
        if "exceeded quota" in said or "must specify" in said:
            return Trouble(Why.QUOTA, said[:_HEAD])
        if "forbidden" in said:
            return Trouble(Why.NOT_ALLOWED, said[:_HEAD])
    return None


def _waits_for(status: Mapping[str, Any]) -> str:
    scheduled = condition(status.get("conditions"), "PodScheduled")
    if scheduled.get("status") == "False":
        return str(scheduled.get("message") or scheduled.get("reason") or "")[:_HEAD]
    for one in (*(status.get("initContainerStatuses") or ()), *(status.get("containerStatuses") or ())):
        waiting = (one.get("state") or {}).get("waiting") or {}
        if waiting.get("reason"):
            return f"{waiting['reason']}: {waiting.get('message') or ''}".strip(": ")[:_HEAD]
    return ""


FULL = "the sandbox's namespace is full"
_SENTENCES = {
    Why.IMAGE: "the image of the sandbox's pod cannot be pulled",
    Why.QUOTA: FULL,
    Why.NOT_STARTED: "the sandbox's pod did not start in time",
    Why.EVICTED: "the sandbox's pod was evicted from its node",
    Why.GONE: "the sandbox's Job failed",
    Why.NOT_ALLOWED: "the cluster does not run the sandbox's pod",
}


def clusters_trouble(trouble: Trouble) -> Unavailable | Refused:
    """What the cluster did may go better another time; what it does not take, never."""
    said = f": {trouble.said}" if trouble.said else ""
    sentence = f"{_SENTENCES.get(trouble.why, trouble.why.name)}{said}"
    if trouble.why is Why.NOT_ALLOWED:
        fix = "look at the Job's images and at its namespace; `kfops doctor` tries it"
        return Refused(sentence, fix=fix)
    return Unavailable(sentence)
