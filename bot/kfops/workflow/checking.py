"""Asking a candidate alone: the endpoint check, and replay where nobody calls. Never counted as users' traffic."""

from __future__ import annotations

import json
import math
from typing import Any

from kfops.config.errors import ConfigError
from kfops.config.load import work_of
from kfops.domain.canary_facts import CheckFault, CheckResult, ReplayResult, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Rollout
from kfops.ports.errors import Unavailable
from kfops.ports.serving import Answer, ArmName
from kfops.workflow.context import Context
from kfops.workflow.gathering import CONFIG, checkout

OK = 200
SERVER_ERROR = 500


def sample(context: Context) -> bytes | None:
    """The sample request of the pinned commit; None where the repository names none."""
    checkout(context)
    file = context.source_dir / CONFIG
    try:
        path = work_of(file.read_bytes() if file.is_file() else None).sample_request
    except ConfigError:
        return None
    asked = context.source_dir / path if path else None
    return asked.read_bytes() if asked and asked.is_file() and not asked.is_symlink() else None


def ask_candidate(context: Context, place: EnvironmentKey, rollout: Rollout) -> CheckResult | Unknown:
    """The sample request to the candidate alone: status, shape, finite numbers, time."""
    try:
        body = sample(context)
        if body is None:
            return CheckResult(None, "kfops.yaml names no samples.request: only readiness was checked")
        limit = rollout.plan.check_timeout.total_seconds()
        answer = context.ports.serving.ask(place, ArmName.CANDIDATE, body, limit)
    except Unavailable as error:
        return Unknown(str(error))
    return judge_answer(body, answer, limit)


def judge_answer(request: bytes, answer: Answer, limit_s: float) -> CheckResult:
    latency = answer.seconds * 1000
    if answer.status is None:
        fault = CheckFault.SLOW if answer.seconds >= limit_s else CheckFault.STATUS
        return CheckResult(fault, answer.message, latency)
    if answer.status != OK:
        return CheckResult(CheckFault.STATUS, f"HTTP {answer.status}: {_text(answer.body)}", latency)
    try:
        predictions = json.loads(answer.body)["predictions"]
        asked = len(json.loads(request)["instances"])
    except (ValueError, KeyError, TypeError):
        return CheckResult(CheckFault.SHAPE, f"no predictions in {_text(answer.body)}", latency)
    if not isinstance(predictions, list) or len(predictions) != asked:
        return CheckResult(CheckFault.SHAPE, f"{asked} rows were asked, not as many answered", latency)
    if not all(_is_finite(one) for one in predictions):
        return CheckResult(CheckFault.NOT_FINITE, f"not a finite number in {_text(answer.body)}", latency)
    if answer.seconds > limit_s:
        return CheckResult(CheckFault.SLOW, f"{latency:.0f} ms, at most {limit_s * 1000:.0f} ms", latency)
    return CheckResult(None, "", latency)


def replayed(context: Context, place: EnvironmentKey, rollout: Rollout) -> ReplayResult | Unknown:
    """The sample's rows, one request each, to both arms."""
    limit = rollout.plan.check_timeout.total_seconds()
    try:
        body = sample(context)
        rows = json.loads(body)["instances"] if body else []
        pairs = [
            tuple(
                context.ports.serving.ask(place, arm, json.dumps({"instances": [row]}).encode(), limit)
                for arm in (ArmName.CANDIDATE, ArmName.STABLE)
            )
            for row in rows
        ]
    except Unavailable as error:
        return Unknown(str(error))
    except (ValueError, KeyError, TypeError):
        return Unknown("the sample request has no `instances` to replay")
    return ReplayResult(
        pairs=len(pairs),
        disagreements=sum(_predictions(one) != _predictions(other) for one, other in pairs),
        candidate_errors=sum(_failed(one) for one, _ in pairs),
        champion_errors=sum(_failed(other) for _, other in pairs),
    )


def _predictions(answer: Answer) -> Any:
    try:
        return json.loads(answer.body)["predictions"]
    except (ValueError, KeyError, TypeError):
        return None


def _failed(answer: Answer) -> bool:
    return answer.status is None or answer.status >= SERVER_ERROR


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_finite(one) for one in value)
    if isinstance(value, dict):
        return all(_is_finite(one) for one in value.values())
    return value is not None and (not isinstance(value, float) or math.isfinite(value))


def _text(body: bytes) -> str:
    return body[:200].decode(errors="replace")
