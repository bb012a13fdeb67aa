"""Why a revision does not come up, in the cluster's own words. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import Any

from kfops.domain.canary_facts import Failure, FailureKind

_LONGEST = 500
_IMAGE = {"ErrImagePull", "ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ContainerMissing"}
_CRASHING = {"CrashLoopBackOff", "RunContainerError", "CreateContainerError", "CreateContainerConfigError"}
_QUOTA = re.compile(r"exceeded quota|forbidden: .*quota|Insufficient (cpu|memory|nvidia)", re.IGNORECASE)
_PULL = re.compile(r"pull(ing)? (access|image)|manifest unknown|Unable to fetch image", re.IGNORECASE)
_STILL_RUNNING = {
    "Deploying",
    "Resolving",
    "ResolvingDigests",
    "Queued",
    "NotOwned",
    "",
    "NewObservedGenFailure",
}

Document = Mapping[str, Any]


def failure_of(
    pods: Iterable[Document], conditions: Iterable[Document], told: Document, *, was_ready: bool
) -> Failure | None:
    """None: it may still come up. `told` is KServe's `modelStatus.lastFailureInfo`, only where it is about this very
    revision; it names the cause best, the pods name the kind best.
    """
    words = _text(told.get("message")) or _text(told.get("reason"))
    kind, seen = _of_pods(pods, was_ready=was_ready)
    if kind is not None:
        return Failure(kind, words or seen)
    for condition in conditions:
        text = _text(condition.get("message"))
        if condition.get("status") != "True" and _QUOTA.search(text):
            return Failure(FailureKind.QUOTA, text)
        if condition.get("type") == "ReplicaFailure" and condition.get("status") == "True":
            is_quota = bool(_QUOTA.search(text))
            return Failure(FailureKind.QUOTA if is_quota else FailureKind.DOES_NOT_START, text)
        if condition.get("status") == "False" and condition.get("reason", "") not in _STILL_RUNNING:
            is_pull = condition.get("reason") in _IMAGE or bool(_PULL.search(text))
            kind = FailureKind.IMAGE_PULL if is_pull else _of_reason(condition.get("reason", ""))
            return Failure(kind, words or text or condition["reason"])
    return Failure(FailureKind.DOES_NOT_START, words) if words else None


def _of_pods(pods: Iterable[Document], *, was_ready: bool) -> tuple[FailureKind | None, str]:
    pods = list(pods)
    if any(
        condition.get("type") == "Ready" and condition.get("status") == "True"
        for pod in pods
        for condition in pod.get("status", {}).get("conditions") or []
    ):
        return None, ""  # one of several copies answers: the others are the cluster's business
    for pod in pods:
        status = pod.get("status", {})
        for condition in status.get("conditions") or []:
            text = _text(condition.get("message"))
            if condition.get("reason") == "Unschedulable" and _QUOTA.search(text):
                return FailureKind.QUOTA, text
        containers = [*(status.get("initContainerStatuses") or []), *(status.get("containerStatuses") or [])]
        for container in containers:
            found = _of_container(container, was_ready=was_ready)
            if found is not None:
                return found
    return None, ""


def _of_container(container: Document, *, was_ready: bool) -> tuple[FailureKind, str] | None:
    waiting = container.get("state", {}).get("waiting") or {}
    ended = (
        container.get("state", {}).get("terminated") or container.get("lastState", {}).get("terminated") or {}
    )
    if waiting.get("reason") in _IMAGE:
        return FailureKind.IMAGE_PULL, f"{waiting['reason']}: {_text(waiting.get('message'))}"
    if container.get("ready"):
        return None
    if ended.get("reason") == "OOMKilled":
        return FailureKind.OUT_OF_MEMORY, f"the container {container['name']} was killed: out of memory"
    is_down = waiting.get("reason") in _CRASHING or bool(container.get("state", {}).get("terminated"))
    if is_down and ended.get("exitCode", 0) != 0:
        return (FailureKind.DIED if was_ready else FailureKind.DOES_NOT_START), _text(ended.get("message"))
    if waiting.get("reason") in _CRASHING:
        return FailureKind.DOES_NOT_START, f"{waiting['reason']}: {_text(waiting.get('message'))}"
    return None


def _of_reason(reason: str) -> FailureKind:
    if reason == "OOMKilled":
        return FailureKind.OUT_OF_MEMORY
    return FailureKind.NEVER_READY if reason == "ProgressDeadlineExceeded" else FailureKind.DOES_NOT_START


def exit_of(pods: Iterable[Document]) -> str:
    """What can be said of a container that ended without a word."""
    for pod in pods:
        for container in pod.get("status", {}).get("containerStatuses") or []:
            ended = [container.get(state, {}).get("terminated") for state in ("state", "lastState")]
            code = next((one["exitCode"] for one in ended if one), None)
            if code is not None:
                return f"the container {container['name']} ended with exit code {code}"
    return ""


def restarts_of(pods: Iterable[Document]) -> int:
    """Of the containers that serve."""
    statuses = [one for pod in pods for one in pod.get("status", {}).get("containerStatuses") or []]
    return sum(one.get("restartCount", 0) for one in statuses if one.get("name") == "kserve-container")


def _text(value: Any) -> str:
    """The end of it: that is where an error says what it is."""
    text = str(value or "").strip()
    return text if len(text) <= _LONGEST else f"…{text[-_LONGEST:]}"
