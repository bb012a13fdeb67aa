"""KServe in Knative mode: each trap of it, tried on the real API server with real model servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.cluster.kserve_place import KServePlace, place_of
from tests.support.served_models import GOOD, MORTAL, PICKY
from tests.support.serving_contract import body, serve, settled, with_candidate

from kfops.domain.canary_facts import Readiness
from kfops.ports.serving import ABSENT, ArmName, Wish

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture
def place(api_server, data_plane, served_models) -> Iterator[KServePlace]:
    with place_of(api_server, data_plane, served_models, "Knative") as place:
        yield place


def test_a_canary_makes_one_revision_and_its_weights_make_none(place):
    """Annotations, and tag routing above all, are part of a revision: they are there from the first day."""
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    for weight in (0, 5, 50, 100):
        with_candidate(place, champion, candidate, weight)
    serve(place, candidate)
    assert place.revisions() == ["churn-predictor-00001", "churn-predictor-00002"]


def test_the_candidate_alone_answers_at_its_tag(place):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, candidate, 0)
    assert place.serving.ask(place.key, ArmName.CANDIDATE, body("paper"), 5).status == 500
    answer = place.serving.ask(place.key, ArmName.STABLE, body("paper"), 5)
    assert (answer.status, b"predictions" in answer.body) == (200, True)


def test_a_share_that_was_wished_for_at_once_comes_after_the_candidate_is_ready(place):
    """A percentage is the share of the latest *ready* revision: set too early, it is the old one's or nobody's."""
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    wish = Wish(champion, candidate, 50)
    shown = []

    def look(served):
        shown.append(
            (place.service()["spec"]["predictor"].get("canaryTrafficPercent"), served.candidate.readiness)
        )
        return served.candidate_weight == 50

    settled(place, wish, look)
    assert shown[0][0] == 0
    assert all(percent == 0 for percent, readiness in shown if readiness is not Readiness.READY)


def test_before_the_first_rollout_a_percentage_is_ignored_so_the_champion_comes_first(place):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    with place.users.calling(body()) as answers:
        with_candidate(place, champion, candidate, 0)
    assert {version for _, version in answers} <= {None, "1"}


def test_a_bad_revision_gets_nothing_while_the_next_candidate_starts(place):
    """After an abort the bad revision is still the latest ready one: the next candidate's share would be its."""
    champion, bad, better = place.source(GOOD, "1"), place.source(PICKY, "2"), place.source(MORTAL, "3")
    serve(place, champion)
    with_candidate(place, champion, bad, 50)
    with_candidate(place, champion, bad, 0)
    with place.users.calling(body()) as answers:
        with_candidate(place, champion, better, 50)
        place.until(lambda: (200, "3") in answers)
    assert "2" not in {version for _, version in answers}
    assert {version for _, version in answers} == {"1", "3"}


def test_while_the_champion_is_restored_the_bad_revision_gets_nothing(place):
    """Dropping the percentage before the champion's new revision is ready would give it everything."""
    champion, bad = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, bad, 50)
    with_candidate(place, champion, bad, 0)
    with place.users.calling(body("paper")) as answers:
        served = serve(place, champion)
        place.until(
            lambda: place.service()["status"]["components"]["predictor"]["latestReadyRevision"].endswith("3")
        )
    assert set(answers) == {(200, "1")}
    assert served.candidate == ABSENT
    assert "canaryTrafficPercent" not in place.service()["spec"]["predictor"]


def test_an_abort_takes_the_traffic_away_before_anything_else(place):
    champion, bad = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, bad, 50)
    place.serving.apply(place.key, Wish(stable=champion))
    predictor = place.service()["spec"]["predictor"]
    assert (predictor["canaryTrafficPercent"], predictor["annotations"]["kfops.dev/version"]) == (0, "2")
    serve(place, champion)


def test_after_all_traffic_the_champion_can_still_have_it_back(place):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, candidate, 100)
    served = with_candidate(place, champion, candidate, 0)
    assert served.stable.version == "1"
    assert {place.send(body("paper")) for _ in range(10)} == {(200, "1")}


def test_what_somebody_else_set_is_set_right(place):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, candidate, 5)
    place.patch({"spec": {"predictor": {"canaryTrafficPercent": 90}}})
    served = place.until(lambda: (one := place.serving.observe(place.key)).candidate_weight == 90 and one)
    assert served.candidate.readiness is Readiness.READY
    with_candidate(place, champion, candidate, 5)
