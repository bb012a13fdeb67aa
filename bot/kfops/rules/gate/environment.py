"""The environment, its lock, and the model that is to serve there."""

from __future__ import annotations

from collections.abc import Iterator

from kfops.domain.record import Lock
from kfops.rules.gate.decision import Reject
from kfops.rules.gate.facts import DeployFacts
from kfops.rules.reasons import ReasonCode


def adopted(facts: DeployFacts) -> Iterator[Reject]:
    """R10: nothing is deployed by rules that only a pull request has."""
    if not facts.rules_adopted:
        yield Reject(
            ReasonCode.RULES_NOT_ADOPTED,
            "There is no `kfops.yaml` on the default branch yet, so nothing says what may be deployed.",
            "no rules",
            "`kfops.yaml` on the default branch",
            "Merge this file first; runs work meanwhile.",
        )
    if facts.rules_changed:
        yield Reject(
            ReasonCode.RULES_CHANGED,
            "`kfops.yaml` on the default branch changed while this deployment was under way.",
            "other rules",
            "the rules under which it began",
            "Comment the command again; it is judged by the new rules then.",
        )


def known(facts: DeployFacts) -> Iterator[Reject]:
    """Named by the rules, and allowed by the operator's policy now."""
    if not facts.is_known_environment:
        yield Reject(
            ReasonCode.ENVIRONMENT_UNKNOWN,
            f"`kfops.yaml` on the default branch names no environment `{facts.environment}`.",
            facts.environment,
            "a name under deployment.environments",
            "`/status` shows the environments.",
        )
    yield from granted(facts.policy_refusal)
    yield from thawed(facts)


def granted(policy_refusal: str | None) -> Iterator[Reject]:
    """R10: the operator lets this repository have the environment."""
    if policy_refusal:
        yield Reject(
            ReasonCode.POLICY,
            "The server's policy does not allow this deployment.",
            policy_refusal,
            "an environment that the policy grants to this repository",
            "Ask the operator of Kfops.",
        )


def thawed(facts: DeployFacts) -> Iterator[Reject]:
    """No freeze of the operator's."""
    if facts.freeze:
        yield Reject(
            ReasonCode.FROZEN,
            "The server's policy freezes deployments here now.",
            facts.freeze,
            "no freeze",
            "Wait for its end, or ask the operator of Kfops. `/rollback` stays possible.",
        )


def unlocked(lock: Lock | None, own_holder: str) -> Iterator[Reject]:
    """R14: an operation's own lock is no obstacle to itself."""
    if lock is None or lock.holder == own_holder:
        return
    environment = lock.key.rsplit(":", 1)[-1]
    why = f": {lock.reason}" if lock.reason else ""
    mends = f"`/unlock {environment}`" if lock.operation_id is None else f"`/cancel {lock.operation_id}`"
    yield Reject(
        ReasonCode.LOCKED,
        f"{lock.holder} holds this environment{why}.",
        f"locked since {lock.since:%Y-%m-%d %H:%M} UTC",
        "unlocked",
        f"Wait for its end, or {mends}.",
    )


def proved(facts: DeployFacts) -> Iterator[Reject]:
    """A model of this very commit, whose metrics pass (R13)."""
    if not facts.run_succeeded or not facts.model_digest:
        yield Reject(
            ReasonCode.NO_RUN,
            "No run of this very commit has succeeded.",
            "no model",
            "a succeeded run",
            "`/build_run`",
        )
    if facts.failed_gates and "gates" not in facts.forced:
        yield Reject(
            ReasonCode.METRIC_GATE,
            "The metrics do not pass `evidence.gates`.",
            "; ".join(facts.failed_gates),
            "every gate passed",
            "Push a better model, then `/build_run`.",
        )
    if facts.serving_digest and facts.serving_digest == facts.model_digest and not facts.merges:
        yield Reject(
            ReasonCode.ALREADY_SERVING,
            f"This very model serves in {facts.environment} already.",
            facts.serving_digest[:12],
            "another model",
            "`/status` shows what serves where.",
        )
