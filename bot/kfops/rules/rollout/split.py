"""Traffic is split: shift to a share, hold and judge it, replay where nobody calls, ask where nothing decides."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from kfops.command.duration import format_duration
from kfops.domain.canary_facts import Gates, Observation, ReplayResult, Unknown
from kfops.domain.rollout import Phase, Reason, Rollout, Verdict
from kfops.rules.rollout.forge import gates_of
from kfops.rules.rollout.measure import has_seen_requests, is_counted, look, new_step, requests_of_candidate
from kfops.rules.rollout.moves import close_step, move, promote, take_back, tell
from kfops.rules.rollout.table import REPLAYS
from kfops.rules.rollout.words import evidence_numbers, evidence_sentence, replay_sentence
from kfops.rules.verdict import log_e_candidate_wrong, may_climb, reaches
from kfops.rules.verdict.evidence import PROMOTE_AT, watches

# After so many doubtful watches it is either a bad day or a candidate that does not carry all the traffic.
_WATCHES = 2

_WORTH_TELLING = frozenset({Reason.CLIMB_STOPPED, Reason.SAMPLE_RATIO, Reason.NO_STATISTICS, Reason.GATE})
# Somebody else is steering the same traffic, and neither of them will measure anything.
_CORRECTIONS = 10


def shift(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """A share counts from the moment at which the backend shows it, not from the wish."""
    if observation.weight == rollout.weight:
        step = new_step(rollout, now)
        told = f"{rollout.weight} % of traffic is on the candidate."
        return move(rollout, Phase.HOLD, now, told, steps=(*rollout.steps, step), verdict=Verdict.WAIT)
    return or_not_applied(rollout, now)


def or_not_applied(rollout: Rollout, now: datetime) -> Rollout:
    deadline = rollout.plan.ready_deadline
    if rollout.paused_at is not None or now - rollout.since < deadline:
        return rollout
    told = f"The share of {rollout.weight} % did not show within {deadline.total_seconds():.0f} s."
    return take_back(rollout, now, Reason.WEIGHT_NOT_APPLIED, told)


def hold(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    if isinstance(observation.weight, int) and observation.weight != rollout.weight:
        if _corrections(rollout) >= _CORRECTIONS:
            told = f"The share of {rollout.weight} % was changed from outside, time after time."
            return take_back(rollout, now, Reason.WEIGHT_NOT_APPLIED, told)
        told = f"The backend shows {observation.weight} % instead of {rollout.weight} %; setting it again."
        return move(close_step(rollout, now), Phase.SHIFT, now, told)
    rollout = look(rollout, observation, now)
    if rollout.phase is not Phase.HOLD or rollout.paused_at is not None:
        return rollout
    if now - rollout.since < rollout.plan.hold:
        return rollout
    if not has_seen_requests(rollout):
        return _without_traffic(rollout, now)
    if is_counted(observation):
        rollout = _promote_or_climb(rollout, observation, now)
    if rollout.phase is Phase.HOLD and now - rollout.since >= rollout.plan.patience:
        # Good in all this time, and the gates never let it through or could not be read.
        reason = Reason.GATE if rollout.reason is Reason.GOOD else rollout.reason
        return to_ask(rollout, now, reason, evidence_sentence(rollout))
    return _tell_once(rollout, now) if rollout.phase is Phase.HOLD else rollout


def shadow(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    rollout = look(rollout, observation, now)
    if rollout.phase is not Phase.SHADOW:
        return rollout
    rollout = _with_replay(rollout, observation)
    if rollout.paused_at is not None:
        return rollout
    is_late = now - rollout.since >= rollout.plan.patience
    if rollout.replay is None:
        return (
            to_ask(rollout, now, Reason.NO_TRAFFIC, "No requests, and no replay to be had.")
            if is_late or rollout.replay_failures >= REPLAYS
            else rollout
        )
    told = replay_sentence(rollout.replay)
    objection = _objection(rollout.replay, rollout)
    if objection is not None:
        return to_ask(rollout, now, objection, told)
    rollout, gates = gates_of(rollout, observation, now)
    match gates:
        case Gates(broken=None):
            return promote(rollout, now, Reason.REPLAYED, told)
        case Gates(broken=str() as broken) if is_late:
            return to_ask(rollout, now, Reason.GATE, f"{told} But {broken}")
        case _:
            return rollout


def _with_replay(rollout: Rollout, observation: Observation) -> Rollout:
    if rollout.replay is not None:
        return rollout
    match observation.replay:
        case ReplayResult() as found:
            return replace(rollout, replay=found)
        case Unknown():
            return replace(rollout, replay_failures=rollout.replay_failures + 1)
        case None:
            return rollout


def ask(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """Only a person promotes from here; bad evidence and silence both give the champion everything back.

    Where there was too little traffic a replay tells the person more; it decides nothing.
    """
    rollout = look(rollout, observation, now)
    if rollout.phase is not Phase.ASK:
        return rollout
    before, rollout = rollout.replay, _with_replay(rollout, observation)
    if rollout.replay is not None and before is None:
        told = replay_sentence(rollout.replay)
        rollout = tell(replace(rollout, sentence=f"{rollout.sentence} {told}"), now, told)
    if rollout.paused_at is not None:
        return rollout
    if now - rollout.since < rollout.plan.ask_timeout:
        return rollout
    patience = format_duration(rollout.plan.ask_timeout)
    told = f"Nobody answered within {patience}; the champion is restored."
    return take_back(rollout, now, Reason.NOBODY_ANSWERED, told, numbers=evidence_numbers(rollout))


def to_ask(rollout: Rollout, now: datetime, reason: Reason, why: str) -> Rollout:
    told = f"The evidence does not decide. {why} Promote or abort?"
    return move(
        rollout,
        Phase.ASK,
        now,
        told,
        verdict=Verdict.ASK,
        reason=reason,
        asked_at=now,
        numbers=evidence_numbers(rollout),
    )


def _promote_or_climb(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    is_last = rollout.step == len(rollout.plan.steps) - 1
    if rollout.reason is Reason.SAMPLE_RATIO:
        return rollout
    if is_last:
        if rollout.verdict is not Verdict.PROMOTE:
            return rollout
        if watches(rollout.steps) >= _WATCHES:
            why = f"{evidence_sentence(rollout)} But with all traffic it failed more, twice."
            return to_ask(rollout, now, Reason.ONLY_AT_FULL, why)
        rollout, gates = gates_of(rollout, observation, now)
        match gates:
            case Gates(broken=None):
                told = evidence_sentence(rollout)
                return promote(rollout, now, Reason.GOOD, told, numbers=evidence_numbers(rollout))
            case Gates(broken=str() as broken):
                return replace(rollout, reason=Reason.GATE, sentence=f"Good, but not promoted: {broken}")
            case _:
                return rollout
    return _climb(rollout, observation, now)


def _climb(rollout: Rollout, observation: Observation, now: datetime) -> Rollout:
    """R8: the next share is given only where the gates still hold."""
    if not may_climb(rollout.steps):
        told = f"Stopped climbing at {rollout.weight} %. {evidence_sentence(rollout)}"
        return replace(rollout, reason=Reason.CLIMB_STOPPED, sentence=told)
    if requests_of_candidate(rollout.steps[-1:]) == 0:
        return rollout
    rollout, gates = gates_of(rollout, observation, now)
    match gates:
        case Gates(broken=None):
            pass
        case Gates(broken=str() as broken):
            return replace(rollout, reason=Reason.GATE, sentence=f"Good, but not shifted further: {broken}")
        case _:
            return rollout
    share = rollout.plan.steps[rollout.step + 1]
    told = f"Climbing to {share} %. {evidence_sentence(rollout)}"
    return move(close_step(rollout, now), Phase.SHIFT, now, told, step=rollout.step + 1, weight=share)


def _tell_once(rollout: Rollout, now: datetime) -> Rollout:
    """What keeps the rollout waiting goes into its history once a step, however often it comes and goes."""
    step = rollout.steps[-1]
    if rollout.reason not in _WORTH_TELLING or rollout.reason in step.told:
        return rollout
    match rollout.reason:
        case Reason.SAMPLE_RATIO:
            told = evidence_sentence(rollout)
        case Reason.NO_STATISTICS:
            told = "Requests cannot be counted now; without them nothing is decided."
        case _:
            told = rollout.sentence
    step = replace(step, told=(*step.told, rollout.reason))
    return tell(replace(rollout, steps=(*rollout.steps[:-1], step), sentence=told), now, told)


def _corrections(rollout: Rollout) -> int:
    return sum(step.share == rollout.weight and not step.is_watch for step in rollout.steps)


def _without_traffic(rollout: Rollout, now: datetime) -> Rollout:
    uncounted = rollout.steps[-1].counts is None
    reason = Reason.NO_STATISTICS if uncounted else Reason.NO_TRAFFIC
    why = "Requests could not be counted." if uncounted else "No requests came during the hold."
    if rollout.plan.without_traffic == "replay":
        return move(rollout, Phase.SHADOW, now, f"{why} Replaying recorded requests.", reason=reason)
    return to_ask(rollout, now, reason, why)


def _objection(replay: ReplayResult, rollout: Rollout) -> Reason | None:
    """A replay warns and asks; it does not roll back, for a new model is meant to differ."""
    if replay.pairs == 0:
        return Reason.NO_TRAFFIC
    if replay.candidate_errors > replay.champion_errors:
        return Reason.ERRORS
    if reaches(log_e_candidate_wrong(replay.candidate_wrong, replay.champion_wrong), PROMOTE_AT):
        return Reason.DISAGREES
    if replay.disagreements > rollout.plan.max_disagreement * replay.pairs:
        return Reason.DISAGREES
    return None
