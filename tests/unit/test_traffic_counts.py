from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from kfops.adapters.local.serving.access_log import AccessLog
from kfops.adapters.local.serving.counting import Counters
from kfops.adapters.local.serving.tally import Bounds, Tally, parse
from kfops.domain.canary_facts import Counts, Unknown
from kfops.domain.rollout import Counting

START = datetime(2026, 5, 1, 12, tzinfo=UTC)
T0 = START.timestamp()
ARMS = {
    "stable": {"slot": "a", "bound_at": T0 - 1000},
    "candidate": {"slot": "b", "bound_at": T0 - 10},
    "newest": {"slot": "b", "total": 5, "active": 0},
}


def line(at=0.0, slot="a", status=200, us=5000, ms=5, route="predict", sent=100, flags="-") -> bytes:
    content = {
        "began": f"{T0 + at:.6f}",
        "cluster": slot and f"env/{slot}",
        "flags": flags,
        "ms": ms,
        "route": route,
        "sent": sent,
        "status": status,
        "us": us,
    }
    return json.dumps(content, separators=(",", ":")).encode() + b"\n"


@pytest.fixture
def log(tmp_path):
    (tmp_path / "lineage").write_text("first")
    (tmp_path / "access.jsonl").touch()

    def write(*lines: bytes) -> None:
        with (tmp_path / "access.jsonl").open("ab") as file:
            file.writelines(lines)

    return write


def counting(since=START, **bounds) -> Counting:
    return Counting(since, bounds.get("slow_since"), bounds.get("champion"), bounds.get("candidate"))


@pytest.fixture
def counters(tmp_path):
    return Counters("env", tmp_path)


def counted(counters, traffic=ARMS, **how) -> Counts:
    found = counters.counts(traffic, counting(**how))
    assert isinstance(found, Counts), found
    return found


def test_errors_are_5xx_resets_and_time_outs_and_callers_errors_stand_apart(log, counters):
    log(
        line(slot="b"),
        line(slot="b", status=500),
        line(slot="b", status=504, us=30_000_000, flags="UT"),
        line(slot="b", status=503, flags="UC"),
        line(slot="b", status=0, us=None, ms=2000, flags="DC"),  # gave up waiting
        line(slot="b", status=0, us=None, sent=None, flags="DC"),  # never sent its request
        line(slot="b", status=400),
        line(slot="a"),
    )
    found = counted(counters)
    assert (found.candidate.requests, found.candidate.errors, found.candidate.client_errors) == (7, 4, 2)
    assert (found.champion.requests, found.champion.errors) == (1, 0)


def test_what_is_no_prediction_of_an_arm_is_not_counted(log, counters):
    log(line(route="other"), line(slot=None, status=503, route="nothing"), b"{broken\n", b"[]\n", line())
    assert counted(counters).champion.requests == 1


def test_only_requests_that_began_since_are_counted(log, counters):
    log(line(-5), line(-0.5, ms=900), line(0), line(3))
    assert counted(counters).champion.requests == 2
    assert counted(counters, since=START + timedelta(seconds=1)).champion.requests == 1


def test_a_slots_earlier_revision_is_not_the_candidate(log, counters):
    log(line(-20, slot="b"), line(-5, slot="b"))
    assert counted(counters, since=START - timedelta(hours=1)).candidate.requests == 1


def test_counts_go_on_where_they_were_and_half_a_line_waits(log, counters):
    log(line(0), line(1)[:30])
    assert counted(counters).champion.requests == 1
    log(line(1)[30:], line(2))
    assert counted(counters).champion.requests == 3
    assert counted(counters).champion.requests == 3


def test_slow_is_told_by_each_arms_own_bound_and_errors_are_not_timed(log, counters):
    log(
        line(us=9_000),
        line(us=11_000),
        line(status=500, us=1),
        line(slot="b", us=12_000),
        line(slot="b", us=13_000),
    )
    log(line(-1, us=99_000))
    found = counted(counters, slow_since=START, champion=10.0, candidate=12.5)
    assert (found.champion.timed, found.champion.slow) == (2, 1)
    assert (found.candidate.timed, found.candidate.slow) == (2, 1)
    assert counted(counters).champion.timed == 0


def test_slow_ones_are_counted_from_their_own_moment(log, counters):
    log(line(1, us=99_000), line(5, us=99_000))
    found = counted(counters, slow_since=START + timedelta(seconds=3), champion=10.0)
    assert (found.champion.requests, found.champion.timed, found.champion.slow) == (2, 1, 1)


def test_quantiles_are_right_to_half_a_per_cent():
    tally = Tally(Bounds("env/a", 0))
    assert tally.quantile_ms(0.95) is None
    for index in range(1, 1001):
        request = parse(line(us=index * 1000))
        assert request is not None
        tally.add(request)
    assert tally.quantile_ms(0.5) == pytest.approx(500, rel=0.005)
    assert tally.quantile_ms(0.95) == pytest.approx(950, rel=0.005)


def test_the_first_error_is_dated_when_it_was_answered(log, counters):
    log(line(4, slot="b", status=500, ms=250), line(2, slot="b", status=500, ms=5000))
    assert counted(counters).candidate.first_bad_at == START + timedelta(seconds=4.25)


def test_a_rotation_loses_nothing(log, counters, tmp_path):
    log(line(0), line(1))
    assert counted(counters).champion.requests == 2
    log(line(2))
    (tmp_path / "access.jsonl").replace(tmp_path / "access.old")
    log(line(3))
    found = counted(counters)
    assert found.champion.requests == 4
    fresh = counted(Counters("env", tmp_path))
    assert (fresh.champion.requests, fresh.epoch) == (4, found.epoch)


def test_a_log_that_was_cut_starts_a_new_epoch(log, counters, tmp_path):
    log(line(0), line(1))
    before = counted(counters).epoch
    (tmp_path / "access.jsonl").write_bytes(b"")
    assert isinstance(counters.counts(ARMS, counting()), Unknown)
    log(line(5))
    after = counted(counters)
    assert after.champion.requests == 1
    assert after.epoch != before


def test_a_step_that_the_log_no_longer_covers_is_unknown(log, counters, tmp_path):
    log(line(10))
    (tmp_path / "shortened").touch()
    assert isinstance(counters.counts(ARMS, counting()), Unknown)
    assert counted(counters, since=START + timedelta(seconds=11)).champion.requests == 0


def test_a_restart_of_the_stack_starts_a_new_epoch(log, counters):
    log(line(0), line(5))
    before = counted(counters)
    later = {
        **ARMS,
        "stable": {"slot": "a", "bound_at": T0 + 3},
        "candidate": {"slot": "b", "bound_at": T0 + 3},
    }
    after = counted(counters, later)
    assert after.champion.requests == 1
    assert after.epoch != before.epoch


def test_without_a_candidate_the_champion_is_counted_alone(log, counters):
    log(line(0), line(0, slot="b"))
    found = counted(counters, {**ARMS, "candidate": None})
    assert (found.champion.requests, found.candidate.requests) == (1, 0)


def test_standstill_reads_the_candidates_own_counter(log, counters):
    log(line(0, slot="b"), line(1, slot="a"), line(0.5, slot="b"))
    still = counters.standstill(ARMS, START)
    assert (still.total, still.last_request_at) == (5, START + timedelta(seconds=0.5))
    assert isinstance(counters.standstill({**ARMS, "newest": None}, START), Unknown)


def test_a_long_log_is_entered_near_the_step(log, tmp_path):
    log(*(line(second - 100_000, us=index) for index, second in enumerate(range(0, 100_010, 4))))
    position = AccessLog(tmp_path).start(T0 - 5)
    assert position is not None
    assert 0 < position.offset < (tmp_path / "access.jsonl").stat().st_size
    assert counted(Counters("env", tmp_path), since=START - timedelta(seconds=5)).champion.requests == 4
