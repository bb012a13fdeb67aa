from __future__ import annotations

import pytest

from kfops.adapters.local.serving.settle import Occupant, State, Target, settle

READY, STARTING, FAILED, DRAINING = State.READY, State.STARTING, State.FAILED, State.DRAINING


def _run(a: tuple[str, State] | None = None, b: tuple[str, State] | None = None) -> dict[str, Occupant]:
    return {slot: Occupant(*given) for slot, given in (("a", a), ("b", b)) if given}


def test_nothing_is_wished_for_and_nothing_is_routed():
    settled = settle(None, {}, Target())
    assert (settled.stable, settled.candidate, settled.share, settled.start) == (None, None, 0, ())


def test_a_first_deployment_starts_and_gets_no_request_before_it_is_ready():
    assert settle(None, {}, Target(candidate="v1", candidate_weight=100)).start == (("a", "v1"),)
    starting = settle(None, _run(("v1", STARTING)), Target(candidate="v1", candidate_weight=100))
    assert (starting.candidate, starting.share) == ("a", 0)
    ready = settle(None, _run(("v1", READY)), Target(candidate="v1", candidate_weight=30))
    assert (ready.weights["a"], ready.share) == (100, 30)


def test_a_candidate_gets_its_weight_beside_the_stable_revision():
    settled = settle("a", _run(("v1", READY), ("v2", READY)), Target("v1", "v2", 25))
    assert settled.weights == {"a": 75, "b": 25}
    assert (settled.share, settled.start, settled.drain) == (100, (), ())


def test_promotion_renames_the_slot_and_drains_the_old_revision():
    settled = settle("a", _run(("v1", READY), ("v2", READY)), Target("v2"))
    assert (settled.stable, settled.weights, settled.drain) == ("b", {"a": 0, "b": 100}, ("a",))


def test_a_candidate_that_died_cannot_be_promoted_and_gets_no_request():
    for state in (FAILED, STARTING):
        occupants = _run(("v1", READY), ("v2", state))
        assert settle("a", occupants, Target("v1", "v2", 50)).weights == {"a": 100, "b": 0}
        promoted = settle("a", occupants, Target("v2"))
        assert (promoted.stable, promoted.incoming, promoted.drain) == ("a", "b", ())


def test_a_roll_back_drains_the_candidate():
    settled = settle("a", _run(("v1", READY), ("v2", READY)), Target("v1"))
    assert (settled.stable, settled.weights, settled.drain) == ("a", {"a": 100, "b": 0}, ("b",))


def test_another_stable_revision_takes_over_only_when_it_is_ready():
    begun = settle("a", _run(("v2", READY)), Target("v1"))
    assert (begun.stable, begun.start, begun.weights["a"]) == ("a", (("b", "v1"),), 100)
    arrived = settle("a", _run(("v2", READY), ("v1", READY)), Target("v1"))
    assert (arrived.stable, arrived.drain) == ("b", ("a",))


def test_without_a_free_slot_the_unwanted_revision_goes_first():
    full = settle("a", _run(("v1", READY), ("v2", READY)), Target("v3"))
    assert (full.stable, full.start, full.drain) == ("a", (), ("b",))
    draining = settle("a", _run(("v1", READY), ("v2", DRAINING)), Target("v3"))
    assert (draining.start, draining.drain) == ((), ())


def test_a_revision_that_drains_is_not_called_back():
    settled = settle("a", _run(("v1", READY), ("v2", DRAINING)), Target("v1", "v2", 50))
    assert (settled.candidate, settled.weights) == (None, {"a": 100, "b": 0})


def test_the_same_model_can_be_its_own_candidate():
    begun = settle("a", _run(("v1", READY)), Target("v1", "v1", 50))
    assert (begun.stable, begun.candidate, begun.start) == ("a", None, (("b", "v1"),))
    both = settle("a", _run(("v1", READY), ("v1", READY)), Target("v1", "v1", 50))
    assert (both.stable, both.candidate, both.weights) == ("a", "b", {"a": 50, "b": 50})


def test_to_take_all_away_routes_nothing_and_drains_both():
    settled = settle("a", _run(("v1", READY), ("v2", READY)), Target())
    assert (settled.stable, settled.share, settled.drain) == (None, 0, ("a", "b"))


@pytest.mark.parametrize("weight", [0, 1, 50, 99, 100])
def test_weights_make_a_hundred(weight):
    settled = settle("b", _run(("v2", READY), ("v1", READY)), Target("v1", "v2", weight))
    assert sum(settled.weights.values()) == 100
    assert settled.weights["a"] == weight
