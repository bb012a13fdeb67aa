"""One step of a rollout: bring the backend to the wish, gather what the state machine needs, let it advance."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta

from kfops.domain.canary_facts import (
    ArmCounts,
    Counts,
    Gates,
    Observation,
    Readiness,
    Signal,
    SignalKind,
    Unknown,
)
from kfops.domain.environment import EnvironmentKey
from kfops.domain.facts import DeployFacts, Refusal
from kfops.domain.operation import EffectState
from kfops.domain.operation import Signal as Asked
from kfops.domain.pull_request import CheckState, Merged, MergeRefused
from kfops.domain.rollout import Counting, Need, Rollout
from kfops.ports.errors import Unavailable
from kfops.ports.serving import ABSENT, Served, Wish
from kfops.rules import rollout as machine
from kfops.rules.gate import Reject
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context
from kfops.workflow.gathering import rules
from kfops.workflow.holding import held, take
from kfops.workflow.judging import judged_again
from kfops.workflow.rollouts.checking import ask_candidate
from kfops.workflow.rollouts.golden import golden
from kfops.workflow.rollouts.placing import place_of, source_of
from kfops.workflow.rollouts.shadow import replayed

BEFORE = timedelta(minutes=10)
DISPLACED = timedelta(seconds=5)
WITHDRAWN = frozenset({ReasonCode.CLOSED, ReasonCode.COMMENT_CHANGED})  # waiting mends neither
_UNDER_WAY = frozenset({CheckState.PENDING.value, CheckState.MISSING.value})


@dataclass(frozen=True)
class Rolled:
    facts: DeployFacts
    rollout: Rollout
    wait: timedelta


def step(context: Context, facts: DeployFacts) -> Rolled:
    """The wish is applied where the backend does not show it (after a crash it may lag), and when it changed."""
    rollout = facts.rollout
    if rollout is None:
        raise ValueError("a rollout step without a rollout")
    if _is_displaced(context, facts):
        return Rolled(replace(facts, was_displaced=True), rollout, DISPLACED)
    place = place_of(context, facts)
    served = context.ports.serving.observe(place)
    facts = _replaced(context, facts, served) if facts.was_displaced else facts
    if not _is_as_wished(served, facts, rollout):
        apply(context, place, facts, rollout)
        served = context.ports.serving.observe(place)
    signals = context.ports.ledger.signals(context.operation.id)
    seen = _observe(context, place, facts, rollout, served, signals[facts.signals_read :])

    advanced = machine.advance(rollout, seen, context.ports.clock.now())

    if machine.wish(advanced) != machine.wish(rollout):
        apply(context, place, facts, advanced)
    sha = seen.merge.sha if isinstance(seen.merge, Merged) else facts.merge_sha
    facts = replace(facts, rollout=advanced, signals_read=len(signals), merge_sha=sha)
    return Rolled(facts, advanced, machine.look_again(advanced, context.ports.clock.now()))


def apply(context: Context, place: EnvironmentKey, facts: DeployFacts, rollout: Rollout) -> None:
    wished = machine.wish(rollout)
    champion = source_of(context, facts, facts.champion_digest, facts.champion_version)
    candidate = source_of(context, facts, facts.model_digest, facts.model_version)
    context.hold()  # what was wished before a long pause is not wished any more
    if wished.promote_candidate:
        context.ports.serving.apply(place, Wish(stable=candidate))
    elif wished.candidate_present:
        context.ports.serving.apply(place, Wish(champion, candidate, wished.weight))
    else:
        context.ports.serving.apply(place, Wish(stable=champion))


def _is_as_wished(served: Served, facts: DeployFacts, rollout: Rollout) -> bool:
    """Whatever is not plainly so is applied: that changes nothing where it was so."""
    wished = machine.wish(rollout)
    if not served.is_settled:
        return False
    if wished.promote_candidate:
        return served.stable.digest == facts.model_digest and served.candidate == ABSENT == served.incoming
    if served.stable.digest != (facts.champion_digest or None) or served.candidate_weight != wished.weight:
        return False
    if not wished.candidate_present:
        return served.candidate == ABSENT
    is_there = served.candidate.digest == facts.model_digest
    return is_there or (served.candidate.readiness is Readiness.STARTING and served.candidate.digest is None)


def _observe(
    context: Context,
    place: EnvironmentKey,
    facts: DeployFacts,
    rollout: Rollout,
    served: Served,
    signals: tuple[Asked, ...],
) -> Observation:
    needs, traffic = machine.needs(rollout), context.ports.traffic
    counting = machine.counting(rollout)
    return Observation(
        readiness=served.candidate.readiness,
        weight=served.candidate_weight,
        promoted=served.stable.digest == facts.model_digest
        and served.candidate.readiness is Readiness.ABSENT,
        standstill=traffic.standstill(place) if Need.STANDSTILL in needs else None,
        champion_before=_before(context, place) if Need.CHAMPION_BEFORE in needs else None,
        check=ask_candidate(context, place, facts, rollout) if Need.CHECK in needs else None,
        golden=golden(context, place, facts, rollout) if Need.GOLDEN in needs else None,
        replay=replayed(context, place, facts, rollout) if Need.REPLAY in needs else None,
        counts=traffic.counts(place, counting) if Need.COUNTS in needs and counting else None,
        signals=_signals(context, signals, rollout),
        superseded_by=_pushed(context),
        gates=_gates(context, facts) if Need.GATES in needs else None,
        merge=_merge(context, facts, served) if Need.MERGE in needs else None,
    )


def _signals(context: Context, signals: tuple[Asked, ...], rollout: Rollout) -> tuple[Signal, ...]:
    asked = tuple(Signal(one.kind, one.by) for one in signals)
    if context.operation.cancel_by and rollout.rollback is None:
        return (*asked, Signal(SignalKind.ABORT, context.operation.cancel_by))
    return asked


def _before(context: Context, place: EnvironmentKey) -> ArmCounts | Unknown:
    counted = context.ports.traffic.counts(place, Counting(context.now - BEFORE, None, None, None))
    return counted.champion if isinstance(counted, Counts) else counted


def _pushed(context: Context) -> str | None:
    subject = context.operation.subject
    head = context.ports.ledger.head(subject.repository_id, subject.pull_request)
    merged = context.operation.effects.get("merge")
    if head is None or head.head_sha == subject.head_sha or merged is not None:
        return None
    return head.head_sha


def _gates(context: Context, facts: DeployFacts) -> Gates | Unknown:
    """R8: read again, whoever wants the step."""
    try:
        read = rules(context)
        if isinstance(read, Refusal):
            return Gates(read.sentence)
        decision = judged_again(context, read, facts.rules_digest)
    except Unavailable as error:
        return Unknown(str(error))
    if isinstance(decision, Reject):
        return _unknown(decision) or Gates(decision.sentence, is_withdrawn=decision.code in WITHDRAWN)
    return Gates()


def _unknown(decision: Reject) -> Unknown | None:
    """A role that could not be read stops the step and is asked for again; it takes nothing back."""
    return Unknown(decision.sentence) if decision.code is ReasonCode.PERMISSION_UNKNOWN else None


def _merge(context: Context, facts: DeployFacts, served: Served) -> Merged | MergeRefused | Unknown:
    """R8: everything is read again, and the merge carries the commit that serves."""
    if facts.model_digest not in {served.stable.digest, served.candidate.digest}:
        return Unknown("the backend does not report the digest that is to be merged")
    subject, forge = context.operation.subject, context.ports.forge
    record = context.operation.effects.get("merge")
    if record and record.state is EffectState.DONE:
        return Merged(record.identity)
    try:
        read = rules(context)
        if isinstance(read, Refusal):
            return MergeRefused(read.sentence, is_final=True)
        pull = forge.pull_request(subject.repository_id, subject.pull_request)
        if pull.is_merged and pull.base_ref != read.branch:
            return MergeRefused(f"it was merged into {pull.base_ref}, not into {read.branch}", is_final=True)
        if pull.is_merged and pull.head_sha == subject.head_sha and pull.merge_sha:
            return Merged(context.effect("merge", lambda: str(pull.merge_sha)))
        decision = judged_again(context, read, facts.rules_digest, pull)
        if isinstance(decision, Reject):
            return _unknown(decision) or MergeRefused(decision.sentence, is_final=_is_final(decision))
        context.ports.ledger.effect_about(context.operation, "merge", context.now)
        result = forge.merge(
            subject.repository_id,
            subject.pull_request,
            sha=str(subject.head_sha),
            method=facts.merge_method or "squash",
            title=f"{pull.title} (#{pull.number})",
        )
    except Unavailable as error:
        return Unknown(str(error))
    if isinstance(result, Merged):
        context.ports.ledger.effect_done(context.operation, "merge", result.sha, context.now)
    return result


def _is_final(decision: Reject) -> bool:
    """A check that runs again may end well: that is waited for."""
    return not (decision.code is ReasonCode.CHECKS_NOT_GREEN and decision.found in _UNDER_WAY)


def _is_displaced(context: Context, facts: DeployFacts) -> bool:
    """R14: no step renewed the lock for so long that another operation has it now. A person who took it is asked by the
    gates: the way back stays open.
    """
    if take(context, facts.environment):
        return False
    lock = held(context, facts.environment)
    return lock is not None and lock.operation_id is not None


def _replaced(context: Context, facts: DeployFacts, served: Served) -> DeployFacts:
    """What another operation serves since is what there is to go back to."""
    digest = served.stable.digest
    if not served.is_settled or digest in {None, facts.champion_digest, facts.model_digest}:
        return facts
    known = context.ports.ledger.revisions(context.operation.subject.repository_id, facts.environment)
    version = next((one.version for one in known if one.digest == digest), "")
    return replace(facts, champion_digest=str(digest), champion_version=version)
