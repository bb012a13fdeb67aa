"""Which step follows from what a cluster shows: stale, half-done and foreign states that no story comes by at will."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from kfops.adapters.kserve import documents, knative, standard
from kfops.adapters.kserve.documents import Mode
from kfops.adapters.kserve.knative import KnativeView
from kfops.adapters.kserve.names import DIGEST, LOADED_FROM, VERSION, Identity, identity_of
from kfops.adapters.kserve.standard import Canary, StandardView
from kfops.adapters.kserve.step import Create, Delete, Done, Patch, Refuse, Target, Wait
from kfops.domain.predictor import Batching, PredictorSpec
from kfops.ports.errors import Refused
from kfops.ports.serving import ModelSource

OLD, NEW, OTHER = (Identity(letter * 64, version) for letter, version in (("a", "1"), ("b", "2"), ("c", "3")))
CANARY = Target(OLD, NEW, 5)


def predictor(identity: Identity, **spec) -> dict:
    source = ModelSource(Path(), identity.digest, identity.version, "churn", predictor=PredictorSpec(**spec))
    return documents.predictor(source, f"s3://models/{identity.digest}", Mode.KNATIVE, "")


def shown(spec: Identity, percent: int | None, **more) -> KnativeView:
    """The champion has everything; a candidate's revision, if it is there, is the second."""
    view = KnativeView(
        spec,
        percent,
        predictor(spec),
        created="r1",
        ready="r1",
        rolled_out="r1",
        shares={"r1": 100},
        identities={"r1": OLD, "r2": NEW},
    )
    return replace(view, **more)


def percent_of(step: object) -> object:
    assert isinstance(step, Patch), step
    return step.body["spec"]["predictor"].get("canaryTrafficPercent", "untouched")


def test_a_candidate_always_begins_at_nothing_in_the_patch_that_makes_it():
    step = knative.next_step(shown(OLD, None), CANARY, predictor)
    assert percent_of(step) == 0
    assert step.body["spec"]["predictor"]["model"]["storageUri"].endswith(NEW.digest)


def test_before_the_champion_was_ever_rolled_out_there_is_no_candidate():
    """KServe ignores the percentage until then, and the candidate would get everything."""
    step = knative.next_step(shown(OLD, None, rolled_out=""), CANARY, predictor)
    assert isinstance(step, Wait)


@pytest.mark.parametrize(
    "stale",
    [
        {"created": "r1", "ready": "r1"},  # KServe has not seen the patch, and says Ready of what was before
        {"created": "r2", "ready": "r1"},  # it is being started
        {"created": "r2", "ready": "r1", "shares": {"r1": 100, "r2": 0}},  # it was ready, and is not any more
        {"created": "r2", "ready": "r2", "shares": {"r1": 100}},  # it is ready, and not routed yet
    ],
)
def test_a_share_waits_until_the_newest_revision_is_the_candidate_ready_and_routed(stale):
    step = knative.next_step(shown(NEW, 0, **stale), CANARY, predictor)
    assert isinstance(step, Wait)


def test_then_it_is_raised():
    live = shown(NEW, 0, created="r2", ready="r2", shares={"r1": 100, "r2": 0})
    assert percent_of(knative.next_step(live, CANARY, predictor)) == 5


def test_a_share_is_lowered_whatever_the_state():
    view = shown(NEW, 50, created="r3", ready="r1", shares={})
    assert percent_of(knative.next_step(view, replace(CANARY, weight=0), predictor)) == 0


def test_another_candidate_that_was_left_behind_goes_first():
    left = shown(
        OTHER, 50, created="r2", ready="r2", shares={"r1": 50, "r2": 50}, identities={"r1": OLD, "r2": OTHER}
    )
    step = knative.next_step(left, CANARY, predictor)
    assert step == Patch({"spec": {"predictor": {"canaryTrafficPercent": 0}}})
    cleared = replace(left, percent=0, shares={"r1": 100, "r2": 0})
    step = knative.next_step(cleared, CANARY, predictor)
    assert percent_of(step) == 0
    assert step.body["spec"]["predictor"]["model"]["storageUri"].endswith(OLD.digest)


def test_the_champion_comes_back_at_nothing_and_the_percentage_goes_last():
    bad = shown(NEW, 0, created="r2", ready="r2", shares={"r1": 100, "r2": 0})
    step = knative.next_step(bad, Target(OLD), predictor)
    assert percent_of(step) == 0
    waiting = replace(bad, spec=OLD, predictor=predictor(OLD))
    assert isinstance(knative.next_step(waiting, Target(OLD), predictor), Wait)
    back = replace(
        waiting,
        created="r3",
        ready="r3",
        shares={"r1": 100, "r3": 0},
        identities={"r1": OLD, "r2": NEW, "r3": OLD},
    )
    assert percent_of(knative.next_step(back, Target(OLD), predictor)) is None


def test_the_bad_revision_keeps_its_route_until_its_share_is_gone():
    still = shown(NEW, 0, created="r2", ready="r2", shares={"r1": 50, "r2": 50})
    assert isinstance(knative.next_step(still, Target(OLD), predictor), Wait)


def test_what_is_as_wished_stays():
    assert knative.next_step(shown(OLD, None), Target(OLD), predictor) == Done()
    assert knative.next_step(None, Target(), predictor) == Done()
    assert knative.next_step(shown(OLD, None), Target(), predictor) == Delete()
    assert isinstance(knative.next_step(None, Target(None, NEW), predictor), Create)


def test_what_only_the_earlier_model_had_is_taken_away():
    before = predictor(OLD, scale_metric="cpu", batching=Batching(8, 50), gpu=1)
    patch = documents.replace_predictor({**before, "affinity": {"theirs": True}}, predictor(NEW))
    assert patch["batcher"] is None
    assert patch["model"]["resources"]["limits"]["nvidia.com/gpu"] is None
    assert patch["annotations"]["autoscaling.knative.dev/class"] is None
    assert "affinity" not in patch


FIRST, SEEN = Target(None, NEW, 0), Target(None, NEW, 100)


def test_a_first_model_is_made_where_no_caller_is_led():
    assert knative.next_step(None, FIRST, predictor) == Create(predictor(NEW), is_hidden=True)
    assert knative.next_step(None, Target(NEW), predictor) == Create(predictor(NEW))
    assert standard.next_step(None, FIRST, predictor) == Create(predictor(NEW), is_hidden=True)


def test_it_is_shown_once_it_shall_have_traffic_and_is_ready():
    own = {"r2": NEW}
    hidden = shown(NEW, None, created="r2", ready="r2", shares={"r2": 100}, identities=own, is_hidden=True)
    assert knative.next_step(hidden, FIRST, predictor) == Done()
    step = knative.next_step(hidden, SEEN, predictor)
    assert step == Patch({"metadata": {"labels": {"networking.knative.dev/visibility": None}}})
    assert isinstance(knative.next_step(replace(hidden, ready=""), SEEN, predictor), Wait)
    beside = StandardView("churn", NEW, predictor(NEW), is_ready=True, is_hidden=True)
    assert standard.next_step(beside, FIRST, predictor) == Done()
    step = standard.next_step(beside, Target(NEW), predictor)
    assert step == Patch({"metadata": {"labels": {"networking.kserve.io/visibility": None}}})


def test_what_was_tried_in_hiding_is_replaced_before_anybody_is_led_there():
    beside = StandardView("churn", OTHER, predictor(OTHER), is_ready=True, is_hidden=True)
    for target in (FIRST, Target(NEW)):
        step = standard.next_step(beside, target, predictor)
        assert isinstance(step, Patch)
        assert step.body["spec"]["predictor"]["model"]["storageUri"].endswith(NEW.digest)
        assert "metadata" not in step.body


STANDARD = StandardView(
    "churn",
    OLD,
    {"minReplicas": 4},
    is_ready=True,
    routed={"churn-predictor": 100, "churn-mnew-predictor": 0},
)


def entry(identity: Identity, percent: int, **more) -> Canary:
    return replace(
        Canary("mnew", identity, percent, 1, predictor(identity), is_ready=True, available=1), **more
    )


def canaries_of(step: object) -> list:
    assert isinstance(step, Patch), step
    return step.body["spec"]["canary"]


def test_a_canary_at_nothing_has_a_copy_of_its_own():
    (one,) = canaries_of(standard.next_step(STANDARD, replace(CANARY, weight=50), predictor))
    assert (one["trafficPercent"], one["predictor"]["minReplicas"]) == (0, 1)


def test_kserve_forbids_a_canary_to_scale_by_itself():
    """The whole InferenceService would be refused."""
    (one,) = canaries_of(standard.next_step(STANDARD, CANARY, predictor))
    assert (
        not {"maxReplicas", "scaleMetric", "scaleTarget", "autoScaling", "workerSpec"}
        & one["predictor"].keys()
    )


def test_a_name_for_kubernetes_comes_from_digest_and_version():
    assert Identity("A" * 64, "1").short != Identity("A" * 64, "2").short
    assert len(NEW.short) == 11
    assert NEW.short[0].isalpha()


def test_a_candidate_that_is_not_ready_gets_no_weight():
    view = replace(STANDARD, canary=entry(NEW, 0, is_ready=False))
    assert isinstance(standard.next_step(view, CANARY, predictor), Wait)


def test_copies_come_before_weight():
    view = replace(STANDARD, canary=entry(NEW, 5))
    half = replace(CANARY, weight=50)
    (more,) = canaries_of(standard.next_step(view, half, predictor))
    assert (more["trafficPercent"], more["predictor"]["minReplicas"]) == (5, 2)
    started = replace(view, canary=entry(NEW, 5, replicas=2))
    assert isinstance(standard.next_step(started, half, predictor), Wait)
    there = replace(view, canary=entry(NEW, 5, replicas=2, available=2))
    (moved,) = canaries_of(standard.next_step(there, half, predictor))
    assert moved["trafficPercent"] == 50


def test_a_canary_goes_when_the_route_leads_nobody_to_it():
    """KServe deletes Deployments before it writes routes."""
    there = replace(STANDARD, canary=entry(NEW, 50))
    (lowered,) = canaries_of(standard.next_step(there, Target(OLD), predictor))
    assert lowered["trafficPercent"] == 0
    routed = replace(
        STANDARD, canary=entry(NEW, 0), routed={"churn-predictor": 50, "churn-mnew-predictor": 50}
    )
    assert isinstance(standard.next_step(routed, Target(OLD), predictor), Wait)
    free = replace(routed, routed={"churn-predictor": 100, "churn-mnew-predictor": 0})
    assert canaries_of(standard.next_step(free, Target(OLD), predictor)) == []


def test_the_stable_predictor_takes_the_name_when_the_route_gives_it_everything():
    full = replace(STANDARD, canary=entry(NEW, 100, replicas=4, available=4))
    waiting = replace(full, routed={"churn-predictor": 50, "churn-mnew-predictor": 50})
    assert isinstance(standard.next_step(waiting, Target(NEW), predictor), Wait)
    there = replace(full, routed={"churn-mnew-predictor": 100})
    step = standard.next_step(there, Target(NEW), predictor)
    assert canaries_of(step) == []
    assert step.body["spec"]["predictor"]["name"] == "mnew"
    assert step.body["spec"]["predictor"]["model"]["storageUri"].endswith(NEW.digest)


def test_without_a_route_no_traffic_can_be_shared():
    assert isinstance(standard.next_step(replace(STANDARD, routed=None), CANARY, predictor), Refuse)


def test_several_routes_agree_on_nothing_only_together():
    service = {
        "metadata": {"name": "churn"},
        "spec": {
            "predictor": predictor(OLD),
            "canary": [{"trafficPercent": 0, "predictor": {"name": "mnew", **predictor(NEW)}}],
        },
    }
    routes = [
        {
            "spec": {
                "rules": [
                    {
                        "backendRefs": [
                            {"name": "churn-predictor", "weight": one},
                            {"name": "churn-mnew-predictor", "weight": 100 - one},
                        ]
                    }
                ]
            }
        }
        for one in (100, 50)
    ]
    assert standard.look(service, {}, routes).weight("mnew") == 50


@pytest.mark.parametrize(
    ("conditions", "is_so"),
    [
        ([], False),  # no gateway has said anything
        ([{"type": "Accepted", "status": "True", "observedGeneration": 7}], True),
        ([{"type": "Accepted", "status": "True", "observedGeneration": 6}], False),
        ([{"type": "ResolvedRefs", "status": "False", "observedGeneration": 7}], False),
        (
            [
                {"type": "Accepted", "status": "True", "observedGeneration": 7},
                {"type": "Programmed", "status": "False"},
            ],
            True,
        ),
    ],
)
def test_a_route_is_in_force_when_its_gateway_has_taken_this_very_one(conditions, is_so):
    route = {"metadata": {"generation": 7}, "status": {"parents": [{"conditions": conditions}]}}
    assert standard.is_taken_over(route) is is_so


def test_r11_a_model_server_gets_no_way_into_the_cluster():
    (one,) = canaries_of(standard.next_step(STANDARD, CANARY, predictor))
    assert predictor(OLD)["automountServiceAccountToken"] is False
    assert one["predictor"]["automountServiceAccountToken"] is False


def test_r13_the_address_carries_the_digest_or_nothing_is_served():
    source = ModelSource(Path(), "d" * 64, "4", "churn")
    with pytest.raises(Refused, match="does not carry its digest"):
        documents.predictor(source, "s3://models/churn/latest", Mode.KNATIVE, "")


def test_r13_what_is_served_is_known_by_where_it_was_loaded_from():
    """Our own note could be wrong, or somebody else's."""
    written = {DIGEST: "a" * 64, VERSION: "1", LOADED_FROM: f"s3://models/{'b' * 64}"}
    assert identity_of(written) == Identity("b" * 64, "1")
    assert identity_of({DIGEST: "a" * 64}) is None
