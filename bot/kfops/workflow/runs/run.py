"""`/build`, `/run`, `/build_run`: from a pinned commit to evidence."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kfops.command.catalog import keys_needed
from kfops.config.meaning import Work
from kfops.domain.facts import Refusal, RunFacts, dump
from kfops.domain.operation import Kind, Outcome
from kfops.domain.package import CompileFailure
from kfops.domain.record import RunRecord
from kfops.domain.run import RunState
from kfops.rules import gate
from kfops.rules.gate import Reject
from kfops.rules.reasons import ReasonCode
from kfops.workflow import retraining
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.gathering import RulesRead, asker, live, needed, refusal, rules, rules_when_asked
from kfops.workflow.runs import commit, data, environment, evidence, images, offered, packaging, training


def decide(context: Context, facts: RunFacts) -> Step:
    if context.operation.cancel_by and context.operation.phase not in {"follow", "canceling"}:
        if training.may_go_on(context, facts):
            return training.canceling(facts)
        return End(Outcome.CANCELED, ReasonCode.CANCELED, facts)
    return PHASES[context.operation.phase](context, facts)


def given_up(context: Context, facts: RunFacts, why: Refusal) -> Step:
    """What is refused for good, or a defect. A run that may go on outside is stopped first; what was said first stays."""
    facts = replace(facts, refusal=facts.refusal or why)
    return training.canceling(facts) if training.may_go_on(context, facts) else training.over(context, facts)


def _gate(context: Context, facts: RunFacts) -> Step:
    read = rules(context)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    if context.operation.kind is Kind.RETRAIN:
        why = retraining.forbidden(context, read)
        return _admitted(context, facts, read) if why is None else _refused(facts, why)
    need = needed(read.rules, keys_needed(packaging.asked(context)))
    state = live(context, read)

    decision = gate.run(state, asker(context, need), need, f"/{context.operation.kind.value}")
    if isinstance(decision, Reject):
        outcome = Outcome.SUPERSEDED if decision.code is ReasonCode.SUPERSEDED else Outcome.REFUSED
        return End(outcome, decision.code, replace(facts, refusal=refusal(decision)))
    return _admitted(context, facts, read)


def _admitted(context: Context, facts: RunFacts, read: RulesRead) -> Step:
    known = replace(facts, model=read.rules.model, is_adopted=read.rules.is_adopted, began_at=context.now)
    return Next("source", known)


WithWork = Callable[[Context, RunFacts, Work], Step]
WithRules = Callable[[Context, RunFacts, Work, RulesRead], Step]


def _source(context: Context, facts: RunFacts, work: Work) -> Step:
    why = offered.refused(context, work, dict(packaging.asked(context).set))
    return Next("environment", facts) if why is None else _refused(facts, why)


def _environment(context: Context, facts: RunFacts, work: Work) -> Step:
    return environment.prepared(context, facts, work, "images")


def _images(context: Context, facts: RunFacts, work: Work, read: RulesRead) -> Step:
    return images.built(context, facts, read, work, "compile")


def _compile(context: Context, facts: RunFacts, work: Work, read: RulesRead) -> Step:
    facts = packaging.config_facts(context, facts, read)
    made = packaging.packaged(context, facts, read, work)
    if isinstance(made, Refusal):
        return _refused(facts, made)
    if isinstance(made, CompileFailure):
        facts = replace(facts, compile_failure=made, ended_at=context.now)
        return End(Outcome.FAILED, ReasonCode.COMPILE_FAILED, facts)
    facts, package = made
    if context.operation.kind is Kind.BUILD:
        _record(context, facts, "BUILT")
        return End(Outcome.SUCCEEDED, ReasonCode.DONE, replace(facts, ended_at=context.now))
    wanted = tuple(dict.fromkeys(one for step in package.steps for one in step.packages))
    return Next("install", replace(facts, packages=wanted)) if wanted else Next("data", facts)


def _install(context: Context, facts: RunFacts, work: Work) -> Step:
    return environment.prepared(context, facts, work, "data")


def _data(context: Context, facts: RunFacts, work: Work) -> Step:
    return data.fetched(context, facts, work, "submit")


def _follow(context: Context, facts: RunFacts) -> Step:
    step = training.followed(context, facts)
    if not isinstance(step, RunFacts):
        return step
    facts = step
    assert facts.status is not None  # noqa: S101 - it has ended
    match facts.status.state:
        case RunState.SUCCEEDED:
            return Next("record", facts)
        case RunState.CANCELED:
            return End(Outcome.CANCELED, ReasonCode.CANCELED, replace(facts, ended_at=context.now))
        case _:
            _record(context, facts, "FAILED")
            return End(Outcome.FAILED, training.why(facts), replace(facts, ended_at=context.now))


def _record_model(context: Context, facts: RunFacts) -> Step:
    read = rules_when_asked(context)
    if isinstance(read, Refusal):
        return _refused(facts, read)
    if read.rules.registered_by == "pipeline":
        step = evidence.adopt(context, facts)
    else:
        step = evidence.record(context, facts)
    if isinstance(step.facts, RunFacts):
        environment.remember(context, step.facts)
    return step


def _compare(context: Context, facts: RunFacts, work: Work, read: RulesRead) -> Step:
    done = replace(evidence.compared(context, facts, read.rules, work), ended_at=context.now)
    _record(context, done, "SUCCEEDED")
    if done.scoring_failure is not None:
        return End(Outcome.FAILED, ReasonCode.NO_MODEL, done)
    return End(Outcome.SUCCEEDED, ReasonCode.DONE, done)


def _with_work(phase: WithWork) -> Callable[[Context, RunFacts], Step]:
    """The phase, or a refusal that says what is wrong with the commit's kfops.yaml."""

    def with_work(context: Context, facts: RunFacts) -> Step:
        work = commit.work(context)
        return _refused(facts, work) if isinstance(work, Refusal) else phase(context, facts, work)

    return with_work


def _with_rules(phase: WithRules) -> Callable[[Context, RunFacts], Step]:
    """The phase under the rules with which the run was asked for; or a refusal that says what is wrong with them."""

    def with_rules(context: Context, facts: RunFacts, work: Work) -> Step:
        read = rules_when_asked(context)
        return _refused(facts, read) if isinstance(read, Refusal) else phase(context, facts, work, read)

    return _with_work(with_rules)


PHASES: dict[str, Callable[[Context, RunFacts], Step]] = {
    "gate": _gate,
    "source": _with_work(_source),
    "environment": _with_work(_environment),
    "images": _with_rules(_images),
    "compile": _with_rules(_compile),
    "install": _with_work(_install),
    "data": _with_work(_data),
    "submit": _with_work(training.submitted),
    "follow": _follow,
    "canceling": training.canceled,
    "record": _record_model,
    "compare": _with_rules(_compare),
}


def _refused(facts: RunFacts, why: Refusal) -> End:
    return End(Outcome.REFUSED, ReasonCode(why.code), replace(facts, refusal=why))


def _record(context: Context, facts: RunFacts, state: str) -> None:
    subject = context.operation.subject
    context.ports.ledger.add_run(
        context.operation,
        RunRecord(
            operation_id=context.operation.id,
            repository_id=subject.repository_id,
            pull_request=subject.pull_request,
            commit_sha=str(subject.head_sha),
            state=state,
            package_digest=facts.package_digest,
            model_version=facts.model_version or None,
            model_digest=facts.model_digest or None,
            evidence=dump(facts),
            created_at=context.now,
        ),
    )
