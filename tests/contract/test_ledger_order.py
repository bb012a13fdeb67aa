"""In which order the ledger takes what arrives and what waits, on both databases."""

from __future__ import annotations

import random
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import sqlalchemy as sa
from tests.support.quick_ledger import empty_ledger, open_ledger

from kfops.adapters.sql import tables as t
from kfops.adapters.sql import work
from kfops.adapters.sql.ledger import SqlLedger
from kfops.domain.operation import Kind, Operation, Outcome, Subject
from kfops.domain.pull_request import NOBODY, Actor, Head
from kfops.domain.record import Lock
from kfops.ports.ledger import Arrival, NewOperation, Saved

pytestmark = pytest.mark.xdist_group("postgres")
NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
ANN, EVE = Actor(1, "ann"), Actor(2, "eve")
LEASE, SECOND = timedelta(seconds=30), timedelta(seconds=1)
PUSHED = [f"{number:040x}" for number in range(1, 9)]


@pytest.fixture(params=["sqlite", "postgresql"])
def ledger(request, tmp_path):
    if request.param == "sqlite":
        empty_ledger(tmp_path / "ledger.db")
        made = open_ledger(tmp_path / "ledger.db")
    else:
        made = SqlLedger(request.getfixturevalue("postgres").fresh())
    yield made
    made.close()


def told(name: str, head: Head, number: int = 1) -> Arrival:
    return Arrival(name, "pull_request", "d", NOW, 7, "ann/churn", "main", None, number, head, pokes=True)


def push(number: int) -> Head:
    at = NOW + 2 * number * SECOND
    before = PUSHED[number - 1] if number else None
    return Head(PUSHED[number], "f" * 40, "main", 7, EVE if number % 2 else ANN, NOW, at, at, before)


def label(number: int) -> Head:
    """Something happened to the pull request between this push and the next one."""
    return replace(push(number), sender=NOBODY, changed_at=NOW + (2 * number + 1) * SECOND, pushed_at=None)


def test_r7_shuffled_and_doubled_deliveries_leave_the_newest_head_and_the_last_pusher(ledger):
    for number in range(1, 21):
        chance = random.Random(number)
        arrivals = [told(f"{number}-push-{one}", push(one), number) for one in range(8)]
        arrivals += [told(f"{number}-label-{one}", label(one), number) for one in range(8)]
        arrivals += chance.sample(arrivals, 6)
        chance.shuffle(arrivals)
        while arrivals:
            size = chance.randint(1, 5)
            ledger.accept(arrivals[:size])
            del arrivals[:size]

        known = ledger.head(7, number)
        assert known is not None
        assert (known.head_sha, known.changed_at) == (PUSHED[7], label(7).changed_at), number
        assert (known.sender, known.pushed_at) == (EVE, push(7).changed_at), number


def test_r6_whoever_pushed_before_a_label_that_overtook_the_push_is_the_last_pusher(ledger):
    ledger.accept([told("a", push(0)), told("b", label(1)), told("c", push(1))])

    known = ledger.head(7, 1)
    assert (known.head_sha, known.sender, known.changed_at) == (PUSHED[1], EVE, label(1).changed_at)


def test_r6_who_pushed_a_head_that_another_delivery_brought_is_not_known(ledger):
    """ann pushed what was known; whose push the reopening shows nobody told."""
    reopened = replace(label(1), changed_at=push(1).changed_at)
    ledger.accept([told("a", push(0)), told("b", label(0)), told("c", reopened)])
    known = ledger.head(7, 1)
    assert (known.head_sha, known.sender, known.pushed_at) == (PUSHED[1], NOBODY, None)

    ledger.accept([told("a again", push(0))])
    assert ledger.head(7, 1).sender == NOBODY

    ledger.accept([told("d", push(1))])
    assert ledger.head(7, 1).sender == EVE


def test_r7_within_one_second_the_push_that_was_replaced_is_the_earlier(ledger):
    first = replace(push(1), changed_at=NOW, pushed_at=NOW)
    second = replace(push(2), changed_at=NOW, pushed_at=NOW)
    ledger.accept([told("second", second), told("first", first)])

    assert (ledger.head(7, 1).head_sha, ledger.head(7, 1).sender) == (PUSHED[2], ANN)


def test_r7_a_command_after_an_overtaken_push_is_pinned_to_the_newest_head(ledger):
    ledger.accept([told("new", push(2)), told("old", push(1)), command(1)])

    assert ledger.open_operations(7)[0].subject.head_sha == PUSHED[2]


def command(comment: int, key: str = "run:7:1", index: int = 0) -> Arrival:
    subject = Subject(7, 1, comment, index, {"name": "build_run"}, ANN, "hash", NOW)
    new = (NewOperation(subject, Kind.BUILD_RUN, key),)
    return Arrival(f"c{comment}", "issue_comment", "d", NOW, 7, "ann/churn", "main", None, 1, operations=new)


def claim(ledger: SqlLedger) -> Operation:
    operation = ledger.claim("worker", NOW, LEASE)
    assert operation is not None
    return operation


def end(ledger: SqlLedger, operation: Operation) -> None:
    saved = Saved("ended", {}, NOW, outcome=Outcome.SUCCEEDED, reason_code="done", ended_at=NOW)
    ledger.save(operation, saved)


def test_whoever_waits_in_a_line_and_for_an_earlier_command_goes_when_both_have_ended(ledger):
    subject = Subject(7, 1, 2, 0, {"name": "build_run"}, ANN, "hash", NOW)
    both = tuple(
        NewOperation(replace(subject, index=index), Kind.BUILD_RUN, key) for index, key in enumerate("xa")
    )
    ledger.accept([command(1, "a"), replace(command(2), operations=both), command(3, "a")])
    head_of_a, head_of_x = claim(ledger), claim(ledger)
    assert (head_of_a.serial_key, head_of_x.serial_key) == ("a", "x")

    end(ledger, head_of_a)
    assert ledger.claim("worker", NOW, LEASE) is None
    end(ledger, head_of_x)
    following = claim(ledger)
    assert following.after == head_of_x.id
    assert ledger.claim("worker", NOW, LEASE) is None
    end(ledger, following)
    assert claim(ledger).subject.comment_id == 3


def test_a_poke_while_a_step_is_at_work_has_it_looked_at_again_at_once(ledger):
    ledger.accept([told("a", push(0)), command(1)])
    at_work = claim(ledger)
    pushed = replace(told("b", push(1)), received_at=NOW + SECOND)
    ledger.accept([pushed])
    ledger.save(at_work, Saved("follow", {}, NOW + timedelta(hours=1)))

    assert ledger.next_due() == NOW + SECOND
    again = ledger.claim("worker", NOW + SECOND, LEASE)
    assert again is not None
    ledger.save(again, Saved("follow", {}, NOW + timedelta(hours=1)))
    assert ledger.next_due() == NOW + timedelta(hours=1)


def test_r14_many_who_ask_for_a_lock_at_once_are_told_of_one_holder(ledger):
    def ask(number: int) -> str:
        mine = Lock("env:7:production", f"operation {number}", "", NOW, NOW + LEASE, number)
        holder = ledger.acquire(mine).holder
        if holder == mine.holder:
            ledger.release(mine.key, mine.holder)
        return holder

    with ThreadPoolExecutor(8) as pool:
        told_of = list(pool.map(ask, range(40)))

    assert len(told_of) == 40
    assert ledger.locks("env:") == ()


def test_with_ten_thousand_open_operations_the_next_one_is_found_by_its_index(ledger):
    """5,000 that are not due, and one line of 5,000: no plan reads either of them through."""
    later = NOW + timedelta(hours=1)
    with ledger.database.write() as connection:
        connection.execute(sa.insert(t.commands), [_command(number) for number in range(1, 10_001)])
        connection.execute(
            sa.insert(t.operations),
            [_row(number, f"run:{number}", due_at=later) for number in range(1, 5_001)]
            + [_row(number, "run:0", waiting=number > 5_001) for number in range(5_001, 10_001)],
        )
        if not ledger.database.is_sqlite:
            connection.execute(sa.text("ANALYZE"))
    first = claim(ledger)
    assert first.id == 5_001

    looked_at = _plan(ledger, work.ready(NOW).order_by(work.o.due_at, work.o.id).limit(1))
    assert "ix_operations_ready" in looked_at
    assert "ix_operations_line" in looked_at
    assert "Seq Scan" not in looked_at
    assert "SCAN operations" not in looked_at.replace("SCAN operations USING INDEX ix_operations_ready", "")
    assert "ix_operations_ready" in _plan(
        ledger, sa.select(sa.func.min(work.o.due_at)).where(t.IS_OPEN, ~work.o.waiting)
    )
    end(ledger, first)
    assert claim(ledger).id == 5_002


def _plan(ledger: SqlLedger, query: sa.Select) -> str:
    text = str(query.compile(ledger.database.engine, compile_kwargs={"literal_binds": True}))
    words = "EXPLAIN QUERY PLAN" if ledger.database.is_sqlite else "EXPLAIN"
    with ledger.database.read() as connection:
        return "\n".join(str(row[-1]) for row in connection.exec_driver_sql(f"{words} {text}"))


def _command(number: int) -> dict[str, object]:
    told_once = {"repository_id": 7, "comment_id": number, "idx": 0, "pull_request": 1, "command": {}}
    who = {
        "author_id": 1,
        "author_login": "ann",
        "author_is_human": True,
        "body_hash": "",
        "received_at": NOW,
    }
    return {"id": number, **told_once, **who, "is_late": False, "is_recovered": False}


def _row(number: int, key: str, *, due_at: datetime = NOW, waiting: bool = False) -> dict[str, object]:
    named = {"id": number, "command_id": number, "kind": "build_run", "repository_id": 7, "pull_request": 1}
    state = {"serial_key": key, "phase": "accepted", "facts": {}, "created_at": NOW}
    return {**named, **state, "due_at": due_at, "waiting": waiting}
