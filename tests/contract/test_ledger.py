"""The ledger's promises, on every database that can be had here."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from tests.support.quick_ledger import empty_ledger, open_ledger

from kfops.adapters.sql.ledger import SqlLedger
from kfops.domain.canary_facts import SignalKind
from kfops.domain.operation import Kind, Operation, Outcome, Signal, Subject
from kfops.domain.pull_request import NOBODY, Actor, Head
from kfops.domain.record import Lock, RevisionRecord, RunRecord
from kfops.ports.ledger import Arrival, Fenced, NewOperation, Saved

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ANN = Actor(1, "ann")
LEASE = timedelta(seconds=30)


pytestmark = pytest.mark.xdist_group("postgres")


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request, tmp_path):
    if request.param == "sqlite":
        empty_ledger(tmp_path / "ledger.db")
        ledger = open_ledger(tmp_path / "ledger.db")
    else:
        ledger = SqlLedger(request.getfixturevalue("postgres").fresh())
    yield ledger
    ledger.close()


def command(comment: int, index: int = 0, key: str = "run:7:1") -> NewOperation:
    subject = Subject(7, 1, comment, index, {"name": "build_run"}, ANN, "hash", NOW)
    return NewOperation(subject, Kind.BUILD_RUN, key)


def arrival(delivery: str, *operations: NewOperation, head: Head | None = None) -> Arrival:
    return Arrival(
        delivery, "issue_comment", "d", NOW, 7, "ann/churn", "main", None, 1, head, operations=operations
    )


def end(operation: Operation, now: datetime = NOW) -> Saved:
    return Saved("ended", {}, now, outcome=Outcome.SUCCEEDED, reason_code="done", ended_at=now)


def claim(ledger: SqlLedger, now: datetime = NOW) -> Operation:
    operation = ledger.claim("worker", now, LEASE)
    assert operation is not None
    return operation


def test_r2_a_delivery_and_its_command_are_one_transaction_and_a_repeat_changes_nothing(ledger):
    ledger.accept([arrival("a", command(1)), arrival("a", command(1)), arrival("b", command(1))])

    assert [op.subject.comment_id for op in ledger.open_operations(7)] == [1]


def test_old_deliveries_are_forgotten_piece_by_piece_and_what_they_brought_is_not(ledger):
    def delivered(day: int, comment: int) -> Arrival:
        return replace(arrival(f"d{comment}", command(comment)), received_at=NOW + timedelta(days=day))

    ledger.accept([delivered(day, day) for day in range(1, 6)])
    before = NOW + timedelta(days=4)
    assert [ledger.forget_deliveries(before, 2) for _ in range(3)] == [2, 1, 0]

    # As if for the first time, and those that stayed are not taken again.
    ledger.accept([delivered(9, day) for day in range(1, 6)])
    assert [op.subject.comment_id for op in ledger.open_operations(7)] == [1, 2, 3, 4, 5]
    assert ledger.forget_deliveries(NOW + timedelta(days=8), 10) == 2


def test_r7_a_command_pins_the_head_that_the_ledger_knew_when_it_arrived(ledger):
    ledger.accept([arrival("late", command(1))])
    head = Head("b" * 40, "a" * 40, "main", 7, ANN, NOW)
    ledger.accept([arrival("push", head=head)])
    ledger.accept([arrival("c", command(2))])

    late, pinned = ledger.open_operations(7)
    assert (late.subject.head_sha, late.subject.is_late) == (None, True)
    assert (pinned.subject.head_sha, pinned.subject.is_late) == ("b" * 40, False)


def test_r6_only_a_push_makes_its_sender_the_last_pusher(ledger):
    head = Head("b" * 40, "a" * 40, "main", 7, ANN, NOW, NOW, NOW)
    later = NOW + timedelta(seconds=1)
    ledger.accept([arrival("push", head=head)])
    ledger.accept([arrival("label", head=replace(head, sender=NOBODY, changed_at=later, pushed_at=None))])

    known = ledger.head(7, 1)
    assert (known.sender, known.changed_at, known.pushed_at) == (ANN, later, NOW)


def test_r7_a_delivery_that_was_overtaken_does_not_bring_an_old_head_back(ledger):
    first = Head("a" * 40, "0" * 40, "main", 7, ANN, NOW, NOW, NOW)
    later = NOW + timedelta(seconds=5)
    second = replace(first, head_sha="b" * 40, changed_at=later, pushed_at=later, sender=Actor(2, "bob"))
    ledger.accept([arrival("second", head=second), arrival("first", head=first)])

    assert ledger.head(7, 1) == second


def test_one_serial_key_is_worked_on_in_order_of_arrival(ledger):
    ledger.accept(
        [arrival("a", command(1)), arrival("b", command(2)), arrival("c", command(3, key="run:7:2"))]
    )

    first, other = claim(ledger), claim(ledger)
    assert [first.subject.comment_id, other.subject.comment_id] == [1, 3]
    assert ledger.claim("worker", NOW, LEASE) is None
    ledger.save(first, end(first))
    assert claim(ledger).subject.comment_id == 2


def test_a_later_command_of_one_comment_waits_for_the_earlier_one(ledger):
    ledger.accept([arrival("a", command(1, 0, "x"), command(1, 1, "y"))])

    first = claim(ledger)
    assert ledger.claim("worker", NOW, LEASE) is None
    ledger.save(first, end(first))
    assert claim(ledger).after == first.id


def test_what_a_killed_owner_held_is_claimed_at_once_and_the_owner_stays_out(ledger):
    ledger.accept([arrival("a", command(1))])
    killed = claim(ledger)
    assert ledger.claim("other", NOW, LEASE) is None
    ledger.end_leases()
    assert claim(ledger).fence == killed.fence + 1
    with pytest.raises(Fenced):
        ledger.save(killed, end(killed))


def writes_of(claimed: Operation) -> dict[str, Callable[[SqlLedger], object]]:
    """Everything that an operation may write into the ledger, with the claim that it has."""
    lock = Lock("env:7:production", "operation 1", "", NOW, None, claimed.id)
    head = Head("b" * 40, "a" * 40, "main", 7, ANN, NOW)
    run = RunRecord(claimed.id, 7, 1, "b" * 40, "SUCCEEDED", "d" * 64, "1", "e" * 64, {}, NOW)
    revision = RevisionRecord(
        0, 7, "production", "churn", "1", "e" * 64, "b" * 40, 1, claimed.id, "ann", NOW, True
    )
    pause = Signal(SignalKind.PAUSE, "ann", "", NOW)
    return {
        "save": lambda ledger: ledger.save(claimed, end(claimed)),
        "effect_about": lambda ledger: ledger.effect_about(claimed, "comment", NOW),
        "effect_done": lambda ledger: ledger.effect_done(claimed, "comment", "1", NOW),
        "told": lambda ledger: ledger.told(claimed, "d", NOW),
        "renew": lambda ledger: ledger.renew(claimed, NOW, LEASE),
        "pin": lambda ledger: ledger.pin(claimed, head),
        "add_run": lambda ledger: ledger.add_run(claimed, run),
        "activate": lambda ledger: ledger.activate(claimed, revision),
        "allow_fork": lambda ledger: ledger.allow_fork(claimed, "b" * 40, NOW),
        "acquire": lambda ledger: ledger.acquire(lock, claimed),
        "release": lambda ledger: ledger.release(lock.key, lock.holder, claimed),
        "append": lambda ledger: ledger.append(7, 1, NOW, "ann", "deploy", {}, claimed),
        "signal": lambda ledger: ledger.signal(claimed.id, pause, claimed),
        "set_cursor": lambda ledger: ledger.set_cursor("issue:7:churn", "1", claimed),
        "request_cancel": lambda ledger: ledger.request_cancel(claimed.id, "ann", NOW, claimed),
    }


def test_r14_a_worker_paused_past_its_lease_can_write_nothing_any_more(ledger):
    """Nor after the one that took over has ended."""
    ledger.accept([arrival("a", command(1))])
    paused = claim(ledger)
    held = Lock("env:7:production", "operation 1", "", NOW, None, paused.id)
    ledger.acquire(held)
    taken = claim(ledger, NOW + LEASE + timedelta(seconds=1))
    assert taken.fence == paused.fence + 1

    def refused() -> list[str]:
        found = []
        for name, write in writes_of(paused).items():
            with suppress(Fenced):
                write(ledger)
                found.append(name)
        return found

    assert refused() == []
    assert ledger.operation(taken.id) == taken
    ledger.save(taken, end(taken))
    assert refused() == []
    assert (ledger.runs(7), ledger.revisions(7, "production"), ledger.trail(7)) == ((), (), ())
    assert (ledger.signals(1), ledger.fork_allowed(7, 1, "b" * 40)) == ((), False)
    assert ledger.held(held.key, NOW) == held


def test_r14_whoever_has_the_last_claim_writes_all_of_it(ledger):
    ledger.accept([arrival("a", command(1))])
    mine = writes_of(claim(ledger))
    last = mine.pop("save")
    for write in mine.values():
        write(ledger)
    last(ledger)

    found = ledger.operation(1)
    assert (found.outcome, found.cancel_by, found.identity("comment")) == (Outcome.SUCCEEDED, "ann", "1")
    assert found.subject.head_sha == "b" * 40
    assert [one.model_version for one in ledger.runs(7)] == ["1"]
    assert [one.is_active for one in ledger.revisions(7, "production")] == [True]
    assert [one.action for one in ledger.trail(7)] == ["deploy"]
    assert ledger.held("env:7:production", NOW) is None


def test_an_effect_says_about_to_before_it_is_done(ledger):
    ledger.accept([arrival("a", command(1))])
    operation = claim(ledger)

    assert ledger.effect_about(operation, "comment", NOW) is False
    assert ledger.effect_about(operation, "comment", NOW) is True
    assert ledger.operation(operation.id).identity("comment") is None
    ledger.effect_done(operation, "comment", "42", NOW)
    assert ledger.operation(operation.id).identity("comment") == "42"


def test_signals_and_cancel_make_their_target_due(ledger):
    ledger.accept([arrival("a", command(1))])
    operation = claim(ledger)
    ledger.save(operation, Saved("follow", {"a": 1}, NOW + timedelta(hours=1)))
    assert ledger.claim("worker", NOW, LEASE) is None

    ledger.signal(operation.id, Signal(SignalKind.PAUSE, "ann", "", NOW))
    assert claim(ledger).facts == {"a": 1}
    assert [signal.kind for signal in ledger.signals(operation.id)] == [SignalKind.PAUSE]
    ledger.request_cancel(operation.id, "ann", NOW)
    assert ledger.operation(operation.id).cancel_by == "ann"


def test_the_first_that_waits_in_each_repository_is_woken(ledger):
    kinds = frozenset({Kind.BUILD_RUN})
    for repository, comment in ((7, 1), (7, 2), (8, 3), (8, 4)):
        subject = replace(command(comment).subject, repository_id=repository, pull_request=comment)
        ledger.accept([arrival(f"{comment}", NewOperation(subject, Kind.BUILD_RUN, f"{comment}"))])
        operation = claim(ledger)
        phase = "follow" if comment == 3 else "submit"
        ledger.save(operation, Saved(phase, {}, NOW + timedelta(minutes=1)))

    ledger.wake_first(kinds, "submit", NOW)

    woken = [claim(ledger).id, claim(ledger).id]
    assert woken == [1, 4]
    assert ledger.claim("worker", NOW, LEASE) is None
    # One that is at work may have looked before: it looks again.
    at_work = ledger.operation(1)
    later = NOW + timedelta(seconds=1)
    ledger.wake_first(kinds, "submit", later)
    ledger.save(at_work, Saved("submit", {}, NOW + timedelta(minutes=1)))
    assert claim(ledger, later).id == 1


def test_r14_a_lock_is_owned_compared_and_deleted(ledger):
    mine = Lock("env:7:production", "operation:1", "", NOW, NOW + LEASE, 1)
    theirs = Lock("env:7:production", "operation:2", "", NOW, NOW + LEASE, 2)

    assert ledger.acquire(mine) == mine
    assert ledger.acquire(theirs) == mine
    assert not ledger.release(theirs.key, theirs.holder)
    assert ledger.release(mine.key, mine.holder)
    assert ledger.acquire(theirs) == theirs
    late = Lock("env:7:production", "operation:3", "", NOW + 2 * LEASE, None, 3)
    assert ledger.acquire(late) == late
