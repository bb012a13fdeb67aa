"""`/rollback`: abort what is under way, take the environment, serve a recorded revision again, check it (R20)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from kfops.command.catalog import keys_needed
from kfops.command.model import Rollback
from kfops.command.serialise import from_json
from kfops.config.plan import predictor_spec
from kfops.domain.canary_facts import Failure, Readiness, SignalKind, Unknown
from kfops.domain.facts import DeployFacts, Refusal
from kfops.domain.operation import ROLLOUTS, Operation, Outcome, Signal
from kfops.domain.record import RevisionRecord
from kfops.ports.serving import ModelSource, Wish
from kfops.rules import gate, revisions
from kfops.rules.gate import Decision, Reject
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.gathering import RulesRead, asker, live, needed, policy_refusal, refusal, rules
from kfops.workflow.holding import held, held_by_a_person, holder, take
from kfops.workflow.judging import environment_name, rollout_of
from kfops.workflow.rollouts.checking import ask_recorded
from kfops.workflow.rollouts.deploy import set_aliases
from kfops.workflow.rollouts.placing import namespace_of, place_of, source_of
from kfops.workflow.runs.evidence import model_of

TICK = timedelta(seconds=0.5)
READY_WITHIN = timedelta(minutes=10)


def decide(context: Context, facts: DeployFacts) -> Step:
    if context.operation.cancel_by and context.operation.phase in {"gate", "take"}:
        return End(Outcome.CANCELED, ReasonCode.CANCELED, facts)
    return PHASES[context.operation.phase](context, facts)


@dataclass(frozen=True)
class Judged:
    """`takes_back`: the rollouts under way, begun already, that end with this rollback."""

    decision: Decision
    target: RevisionRecord | None
    takes_back: tuple[int, ...]


def judged(context: Context, read: RulesRead, before: tuple[int, ...] = ()) -> Judged:
    """For the gate, and for `/plan`. `before`: the rollouts that were under way when it was judged first."""
    subject, ledger, command = context.operation.subject, context.ports.ledger, _command(context)
    known = ledger.revisions(subject.repository_id, command.environment)
    takes_back = tuple(one.id for one in _rollouts(context, command) if rollout_of(one))
    taken_back = [
        one for one in map(ledger.operation, before) if one and one.outcome is not Outcome.SUCCEEDED
    ]
    target = revisions.target(known, command.to, takes_back=bool(takes_back or taken_back))
    lock = held(context, command.environment)
    need = needed(read.rules, keys_needed(command))
    decision = gate.rollback(
        live(context, read, reread=True),
        asker(context, need),
        need,
        lock if lock and lock.operation_id is None else None,  # what a rollout holds, it is made to let go
        holder(context.operation),
        target=target,
        policy_refusal=policy_refusal(context, read, command.environment),
        wanted=command.to or "",
        recorded=revisions.named(known),
    )
    return Judged(decision, target, takes_back)


def _gate(context: Context, facts: DeployFacts) -> Step:
    facts = replace(facts, reason=_command(context).reason, began_at=context.now)
    aimed = _aimed(context, facts)
    if isinstance(aimed, End):
        return aimed
    _abort_rollouts(context)
    return Next("take", aimed)


def _take(context: Context, facts: DeployFacts) -> Step:
    """Judged once more when the environment is free: what was under way may have gone either way meanwhile, and whoever
    asked may have taken it back.
    """
    if not take(context, facts.environment) and not held_by_a_person(context, facts.environment):
        return Next("take", facts, TICK)
    aimed = _aimed(context, facts)
    if isinstance(aimed, End):
        return aimed
    facts = replace(aimed, notes=(*aimed.notes, *_told(context, aimed)))
    if context.ports.store.path(facts.model_digest) is None:
        known = context.ports.models.version_of(facts.model, facts.model_version)
        if known is not None:
            model_of(context, known)
    return Next("prepare", facts)


def _aimed(context: Context, facts: DeployFacts) -> DeployFacts | End:
    """With the revision that it goes to, or why it goes nowhere."""
    read = rules(context)
    if isinstance(read, Refusal):
        return End(Outcome.REFUSED, ReasonCode(read.code), replace(facts, refusal=read))
    seen = judged(context, read, facts.takes_back)
    if isinstance(seen.decision, Reject):
        why = refusal(seen.decision)
        return End(Outcome.REFUSED, seen.decision.code, replace(facts, refusal=why))
    target = seen.target
    if target is None:
        raise ValueError("the gate let a rollback through without a revision")
    return replace(
        facts,
        model=target.model,
        model_version=target.version,
        model_digest=target.digest,
        run_operation_id=target.run_operation_id,
        namespace=namespace_of(read.rules, facts.environment),
        predictor=predictor_spec(read.rules),
        takes_back=facts.takes_back or seen.takes_back,
    )


def _told(context: Context, facts: DeployFacts) -> Iterator[str]:
    command = _command(context)
    if facts.takes_back and not command.to:
        further = f'/rollback {facts.environment} --to VERSION --reason "…"'
        yield f"The rollout that was under way is taken back. Further back: `{further}`."


def _prepare(context: Context, facts: DeployFacts) -> Step:
    """Beside what serves, without users. Where what serves cannot be wished for again there is nothing to wait for."""
    place, serving = place_of(context, facts), context.ports.serving
    served = serving.observe(place)
    now = served.stable
    if now.digest == facts.model_digest or (now.digest and context.ports.store.path(now.digest) is None):
        return Next("switch", facts)
    facts = replace(facts, champion_digest=now.digest or "", champion_version=now.version or "")
    context.hold()
    serving.apply(place, Wish(*_arms(context, facts)))
    served = serving.observe(place)
    facts = replace(facts, url=served.url)
    is_late = context.now - (facts.began_at or context.now) > READY_WITHIN
    match served.candidate.readiness:
        case Readiness.READY:
            return Next("check", facts)
        case Failure(message=why):
            return _stay(context, facts, f"It does not start: {why}")
        case _ if is_late:
            return _stay(context, facts, f"It was not ready within {READY_WITHIN.total_seconds():.0f} s.")
        case _:
            return Next("prepare", facts, TICK)


def _check(context: Context, facts: DeployFacts) -> Step:
    """R20: a recorded revision skips reviews, not the endpoint check. What cannot be had does not hold it up."""
    result = ask_recorded(context, place_of(context, facts), facts)
    if isinstance(result, Unknown):
        return Next("switch", replace(facts, notes=(*facts.notes, f"It was not checked: {result.reason}")))
    if result.fault is not None:
        return _stay(
            context, facts, f"The endpoint check failed on its {result.fault.value}: {result.message}"
        )
    told = f"The endpoint check passed: {result.message}"
    return Next("switch", replace(facts, notes=(*facts.notes, told)))


def _stay(context: Context, facts: DeployFacts, why: str) -> Step:
    """Nothing was switched: users stay where they are."""
    stable, _ = _arms(context, facts)
    context.hold()
    context.ports.serving.apply(place_of(context, facts), Wish(stable=stable))
    notes = (*facts.notes, why, "Nothing was switched.")
    return End(Outcome.FAILED, ReasonCode.OUTSIDE_REFUSED, replace(facts, notes=notes))


def _arms(context: Context, facts: DeployFacts) -> tuple[ModelSource | None, ModelSource | None]:
    """What serves now, and what shall serve again."""
    return (
        source_of(context, facts, facts.champion_digest, facts.champion_version),
        source_of(context, facts, facts.model_digest, facts.model_version),
    )


def _switch(context: Context, facts: DeployFacts) -> Step:
    place = place_of(context, facts)
    source = source_of(context, facts, facts.model_digest, facts.model_version)
    context.hold()
    context.ports.serving.apply(place, Wish(stable=source))
    served = context.ports.serving.observe(place)
    facts = replace(facts, url=served.url)
    is_ready = served.stable.readiness is Readiness.READY and served.is_settled
    if served.stable.digest == facts.model_digest and is_ready:
        now = context.ports.clock.now()
        took = (now - context.operation.subject.received_at).total_seconds()
        told = f"It has all traffic since {now:%H:%M:%S} UTC, {took:.1f} s after it was asked for."
        return Next("record", replace(facts, notes=(*facts.notes, told)))
    if isinstance(served.incoming.readiness, Failure):
        note = f"It does not start: {served.incoming.readiness.message}"
        return End(Outcome.FAILED, ReasonCode.OUTSIDE_REFUSED, replace(facts, notes=(*facts.notes, note)))
    return Next("switch", facts, TICK)


def _record(context: Context, facts: DeployFacts) -> Step:
    subject, ledger = context.operation.subject, context.ports.ledger
    known = ledger.revisions(subject.repository_id, facts.environment)
    before = next((one for one in known if one.is_active), None)
    target = next(one for one in known if one.digest == facts.model_digest)
    if before and before.digest != facts.model_digest:
        facts = replace(facts, champion_version=before.version, champion_digest=before.digest)
    again = replace(target, id=0, since=facts.began_at or context.now, by=subject.author.login)
    ledger.activate(context.operation, again)
    set_aliases(context, facts.environment, facts.model, facts.model_version, facts.champion_version)
    return End(Outcome.SUCCEEDED, ReasonCode.DONE, replace(facts, ended_at=context.now))


PHASES: dict[str, Callable[[Context, DeployFacts], Step]] = {
    "gate": _gate,
    "take": _take,
    "prepare": _prepare,
    "check": _check,
    "switch": _switch,
    "record": _record,
}


def _command(context: Context) -> Rollback:
    command = from_json(context.operation.subject.command)
    if not isinstance(command, Rollback):
        raise TypeError(f"operation {context.operation.id} holds {command}, not a rollback")
    return command


def _abort_rollouts(context: Context) -> None:
    command = _command(context)
    for other in _rollouts(context, command):
        signal = Signal(SignalKind.ABORT, context.operation.subject.author.login, command.reason, context.now)
        context.ports.ledger.signal(other.id, signal, context.operation)


def _rollouts(context: Context, command: Rollback) -> list[Operation]:
    """Under way in this environment."""
    found = context.ports.ledger.open_operations(context.operation.subject.repository_id, kinds=ROLLOUTS)
    return [one for one in found if environment_name(one) == command.environment and one.outcome is None]
