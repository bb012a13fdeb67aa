"""The endpoint check: the sample request to the candidate alone, and what the run kept of its own answers."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

from kfops.domain.canary_facts import CheckFault, CheckResult, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.facts import DeployFacts, Refusal
from kfops.domain.golden import Answers, GoldenPayload
from kfops.domain.model_version import Artifact
from kfops.domain.rollout import Rollout
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.serving import Answer, ArmName
from kfops.rules.pairs import difference
from kfops.workflow.context import Context
from kfops.workflow.rollouts.asking import read, text_of
from kfops.workflow.runs import commit
from kfops.workflow.runs.offered import LARGEST_SAMPLE

_LARGEST_PAYLOAD = 1 << 20
_RECORDED_LIMIT_S = 10.0
NO_SAMPLE = "kfops.yaml names no samples.request: only readiness was checked"


def sample(context: Context) -> bytes | None:
    """The sample request of the pinned commit; None where the repository names none."""
    meant = commit.work(context)
    if isinstance(meant, Refusal) or meant.sample_request is None:
        return None
    file = commit.file_of(context.source_dir, meant.sample_request)
    return file.read_bytes() if file and file.stat().st_size <= LARGEST_SAMPLE else None


def ask_candidate(
    context: Context, place: EnvironmentKey, facts: DeployFacts, rollout: Rollout
) -> CheckResult | Unknown:
    """The sample request: status, shape, finite numbers, time. Then the payload that the run answered in training."""
    plan = rollout.plan
    limit = plan.check_timeout.total_seconds()
    try:
        payload = golden_payload(context, facts)
        body = sample(context)
        checked = CheckResult(None, NO_SAMPLE)
        if body is not None:
            answer = context.ports.serving.ask(place, ArmName.CANDIDATE, body, limit)
            checked = judge_answer(body, answer, limit, plan.check_status)
        if checked.fault is not None or payload is None:
            return checked
        body = json.dumps({"instances": payload.instances}).encode()
        return skew(payload, checked, context.ports.serving.ask(place, ArmName.CANDIDATE, body, limit))
    except Unavailable as error:
        return Unknown(str(error))


def ask_recorded(context: Context, place: EnvironmentKey, facts: DeployFacts) -> CheckResult | Unknown:
    """A revision that served before: with the rows that its own model directory or its run keeps, for the sample request
    of today's commit may be none of its own.
    """
    rows = _example(context.ports.store.path(facts.model_digest))
    try:
        payload = golden_payload(context, facts)
    except (Unavailable, Refused) as error:
        payload, why = None, f": {error}"
    else:
        why = ""
    asked = payload.instances if payload else rows
    if asked is None:
        return Unknown(f"neither its model nor its run keeps a request{why}")
    try:
        body = json.dumps({"instances": asked}).encode()
        answer = context.ports.serving.ask(place, ArmName.CANDIDATE, body, _RECORDED_LIMIT_S)
    except Unavailable as error:
        return Unknown(str(error))
    checked = judge_answer(body, answer, _RECORDED_LIMIT_S)
    if checked.fault is None and payload is not None:
        checked = skew(payload, checked, answer)
    return checked if checked.fault else replace(checked, message=f"{len(asked)} rows answered")


def _example(model: Path | None) -> tuple[Any, ...] | None:
    """The rows of MLflow's input example, as callers send them."""
    file = model / "serving_input_example.json" if model else None
    if file is None or not file.is_file() or file.is_symlink() or file.stat().st_size > _LARGEST_PAYLOAD:
        return None
    try:
        content = json.loads(file.read_bytes())
        split = content.get("dataframe_split")
        if split:
            return tuple(dict(zip(split["columns"], row, strict=True)) for row in split["data"]) or None
        rows = content.get("inputs") or content.get("instances")
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
        return None
    return tuple(rows) if isinstance(rows, list) and rows else None


def judge_answer(request: bytes, answer: Answer, limit_s: float, status: int = 200) -> CheckResult:
    latency = answer.seconds * 1000
    if answer.status is None:
        fault = CheckFault.SLOW if answer.seconds >= limit_s else CheckFault.STATUS
        return CheckResult(fault, answer.message, latency)
    if answer.status != status:
        return CheckResult(CheckFault.STATUS, f"HTTP {answer.status}: {text_of(answer)}", latency)
    try:
        predictions = json.loads(answer.body)["predictions"]
        asked = len(json.loads(request)["instances"])
    except (ValueError, KeyError, TypeError):
        return CheckResult(CheckFault.SHAPE, f"no predictions in {text_of(answer)}", latency)
    if not isinstance(predictions, list) or len(predictions) != asked:
        return CheckResult(CheckFault.SHAPE, f"{asked} rows were asked, not as many answered", latency)
    if not all(_is_finite(one) for one in predictions):
        return CheckResult(CheckFault.NOT_FINITE, f"not a finite number in {text_of(answer)}", latency)
    if answer.seconds > limit_s:
        return CheckResult(CheckFault.SLOW, f"{latency:.0f} ms, at most {limit_s * 1000:.0f} ms", latency)
    return CheckResult(None, "", latency)


def skew(payload: GoldenPayload, checked: CheckResult, answer: Answer) -> CheckResult:
    """Training/serving skew: the very rows that the run answered where it trained must get the same answers."""
    served = read(answer.body, len(payload.instances)) if answer.status is not None else None
    if served is None:
        said = answer.message or f"HTTP {answer.status}: {text_of(answer)}"
        found: str | None = f"what was answered in training is not answered as served: {said}"
    else:
        found = difference(payload.answers, served)
    if found is None:
        return replace(checked, compared=len(payload.instances))
    return replace(checked, fault=CheckFault.SKEW, message=found)


def golden_payload(context: Context, facts: DeployFacts) -> GoldenPayload | None:
    """What the run kept for itself; None where it kept nothing, or nothing that can be read."""
    scratch = context.options.data_dir / "scratch" / str(context.operation.id) / "golden"
    file = context.ports.models.fetch(facts.model, facts.model_version, Artifact.GOLDEN, scratch)
    return None if file is None else _payload(file)


def _payload(file: Path) -> GoldenPayload | None:
    if file.stat().st_size > _LARGEST_PAYLOAD:
        return None
    try:
        content = json.loads(file.read_bytes())
        instances = content["instances"]
        answers = read(json.dumps(content).encode(), len(instances))
    except (ValueError, KeyError, TypeError, RecursionError):
        return None
    if not isinstance(instances, list) or not instances or not isinstance(answers, Answers):
        return None
    return GoldenPayload(tuple(instances), answers)


def _is_finite(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_finite(one) for one in value)
    if isinstance(value, dict):
        return all(_is_finite(one) for one in value.values())
    return value is not None and (not isinstance(value, float) or math.isfinite(value))
