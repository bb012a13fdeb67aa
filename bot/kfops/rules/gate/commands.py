"""The gate table of the design: one function a command. Pure: facts in, `Proceed` or the first `Reject` out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from kfops.config.who import Who
from kfops.domain.operation import Kind
from kfops.domain.pull_request import Permission
from kfops.domain.record import Lock, RevisionRecord
from kfops.rules.gate import environment, pull_request, required
from kfops.rules.gate.decision import Decision, Reject, first
from kfops.rules.gate.facts import Asker, DeployFacts, Live
from kfops.rules.gate.who import who
from kfops.rules.reasons import ReasonCode


def read(asker: Asker, needed: Sequence[Who], command: str) -> Decision:
    """`/help`, `/status`, `/plan`, `/canary status`."""
    return first(who(asker, needed, command))


def run(live: Live, asker: Asker, needed: Sequence[Who], command: str) -> Decision:
    """`/build`, `/run`, `/build_run`."""
    return first(who(asker, needed, command), pull_request.still(live), pull_request.allowed_fork(live))


def staging_deploy(
    live: Live, asker: Asker, needed: Sequence[Who], facts: DeployFacts, command: str = "/staging_deploy"
) -> Decision:
    """Staging can be put back: no `--sha` is asked for, and a command that was found late still counts."""
    return first(
        who(asker, needed, command),
        pull_request.still(live),
        pull_request.unchanged(live),
        pull_request.no_fork(live),
        _place(facts),
        environment.proved(facts),
        _required(live, facts, asker),
    )


def deploy(
    live: Live, asker: Asker, needed: Sequence[Who], facts: DeployFacts, command: str = "/deploy"
) -> Decision:
    return first(
        who(asker, needed, command),
        pull_request.still(live),
        pull_request.unchanged(live),
        pull_request.fresh(is_stale=live.is_stale),
        pull_request.pinned(live),
        pull_request.no_fork(live),
        _place(facts),
        environment.proved(facts),
        pull_request.ready(live),
        pull_request.mergeable(live, changes_workflows=facts.changes_workflows) if facts.merges else (),
        _required(live, facts, asker),
    )


def again(live: Live, asker: Asker, needed: Sequence[Who], facts: DeployFacts, command: str) -> Decision:
    """R8: before each step of a deployment that cannot be undone: a shift of traffic, the promotion, the merge.

    The base moving is no obstacle by itself; a push, a base that was changed, an approval or a role that was taken
    away, other rules, and what the operator took away or freezes are.
    """
    return first(
        who(asker, needed, command),
        pull_request.still(live),
        pull_request.unchanged(live),
        pull_request.no_fork(live),
        environment.adopted(facts),
        environment.granted(facts.policy_refusal),
        environment.thawed(facts),
        environment.unlocked(facts.lock, facts.own_lock_holder),
        pull_request.ready(live) if facts.needs_ready else (),
        required.checked(facts),
        required.approved(live, facts, asker.actor),
    )


def rollback(
    live: Live,
    asker: Asker,
    needed: Sequence[Who],
    lock: Lock | None,
    own_holder: str,
    *,
    target: RevisionRecord | None,
    policy_refusal: str | None = None,
    wanted: str = "",
    recorded: Sequence[str] = (),
) -> Decision:
    """R20: skips order, CI, review and freezes; never the person, the comment, the policy, the lock or the check.

    `live` is for the comment: a rollback is about what serves, not about this pull request's commit. `target`: the
    recorded revision that is meant; `wanted` and `recorded`: what was asked for, and what there is, to be told.
    """
    return first(
        who(asker, needed, "/rollback"),
        pull_request.unchanged(live),
        pull_request.fresh(is_stale=live.is_stale),
        environment.granted(policy_refusal),
        () if target else (_no_revision(wanted, recorded),),
        environment.unlocked(lock, own_holder),
    )


def canary(
    asker: Asker, needed: Sequence[Who], *, is_under_way: bool, promoted: Live | None = None
) -> Decision:
    """`/canary pause`, `resume`, `promote`, `abort`: the rollout itself reads the gates again before it promotes.

    `promoted`: the comment and the pull request as they stand, for `promote`, which cannot be undone (R3, R5).
    """
    return first(
        who(asker, needed, "/canary"),
        pull_request.unchanged(promoted) if promoted else (),
        pull_request.fresh(is_stale=promoted.is_stale) if promoted else (),
        () if is_under_way else (_no_rollout(),),
    )


def cancel(
    asker: Asker,
    needed: Sequence[Who],
    *,
    stoppable: int,
    too_late: Sequence[str] = (),
    is_stale: bool = False,
) -> Decision:
    """`too_late`: what is under way and cannot be stopped any more, as sentences.

    `is_stale`: found late and names no operation, so that it may have meant another one than what is under way (R3).
    """
    return first(
        who(asker, needed, "/cancel"),
        pull_request.fresh(is_stale=is_stale),
        () if stoppable else (_nothing_to_cancel(too_late),),
    )


def lock(
    asker: Asker, needed: Sequence[Who], held: Lock | None, *, name: str, known: Sequence[str]
) -> Decision:
    """Taking again what one holds renews it. `known`: the environments of the rules."""
    return first(
        who(asker, needed, "/lock"),
        () if name in known else (_no_environment(name, known),),
        environment.unlocked(held, asker.actor.login),
    )


def unlock(
    asker: Asker,
    needed: Sequence[Who],
    held: Lock | None,
    *,
    name: str,
    known: Sequence[str],
    is_stale: bool = False,
) -> Decision:
    """Anybody with the role may let go what a person holds; what an operation holds ends with the operation.

    `is_stale`: found late; the environment may be held for another reason by now (R3).
    """
    of_operation = held if held and held.operation_id is not None else None
    return first(
        who(asker, needed, "/unlock"),
        pull_request.fresh(is_stale=is_stale),
        () if name in known or held else (_no_environment(name, known),),
        environment.unlocked(of_operation, ""),
    )


def ok_to_test(live: Live, asker: Asker, needed: Sequence[Who], sha: str) -> Decision:
    """R9: by somebody who may write, whatever `permissions.run` says, and for the commit that is the head now."""
    return first(
        who(asker, (*needed, *floor(Kind.OK_TO_TEST)), "/ok-to-test"),
        pull_request.still(live),
        () if sha == live.pull_request.head_sha else (_other_head(sha, live.pull_request.head_sha),),
    )


def floor(kind: Kind) -> tuple[Who, ...]:
    """What a command needs at least, whatever kfops.yaml says."""
    return (Who(Permission.WRITE),) if kind is Kind.OK_TO_TEST else ()


def _place(facts: DeployFacts) -> Iterator[Reject]:
    yield from environment.adopted(facts)
    yield from environment.known(facts)
    yield from environment.unlocked(facts.lock, facts.own_lock_holder)


def _required(live: Live, facts: DeployFacts, asker: Asker) -> Iterator[Reject]:
    yield from required.up_to_date(live, facts)
    yield from required.checked(facts)
    yield from required.approved(live, facts, asker.actor)
    yield from required.in_staging(facts)


def _no_revision(wanted: str, recorded: Sequence[str]) -> Reject:
    known = ", ".join(recorded[:10])
    return Reject(
        ReasonCode.NO_REVISION,
        "There is no such recorded revision to go back to.",
        wanted or "nothing that served before",
        f"one of {known}" if known else "a revision that served before",
        f"`--to {recorded[0]}`" if recorded else "`/deploy` makes the first one.",
    )


def _no_environment(name: str, known: Sequence[str]) -> Reject:
    return Reject(
        ReasonCode.ENVIRONMENT_UNKNOWN,
        f"`kfops.yaml` on the default branch names no environment `{name}`.",
        name,
        f"one of {', '.join(known)}",
        "`/status` shows the environments.",
    )


def _no_rollout() -> Reject:
    return Reject(
        ReasonCode.NO_ROLLOUT, "No rollout is under way here.", "nothing to steer", "a rollout", "`/deploy`"
    )


def _nothing_to_cancel(too_late: Sequence[str]) -> Reject:
    return Reject(
        ReasonCode.NOTHING_TO_CANCEL,
        "Nothing of that kind is under way here that could be stopped.",
        "; ".join(too_late) or "nothing",
        "a run, a rollout or a rollback that has not ended",
        "`/status` shows what runs.",
    )


def _other_head(said: str, head: str) -> Reject:
    return Reject(
        ReasonCode.SHA_MISMATCH,
        "This is not the head of this pull request.",
        said,
        head,
        f"`/ok-to-test {head}`",
    )
