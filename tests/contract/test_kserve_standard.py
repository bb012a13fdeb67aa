"""KServe in Standard mode: each trap of it, tried on the real API server with real model servers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from tests.support.cluster.kserve_place import KServePlace, place_of
from tests.support.served_models import GOOD, MORTAL, PICKY
from tests.support.serving_contract import body, serve, settled, with_candidate

from kfops.adapters.kserve import names
from kfops.domain.canary_facts import Readiness
from kfops.domain.predictor import PredictorSpec
from kfops.ports.errors import Refused
from kfops.ports.serving import ABSENT, ArmName, Wish

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture
def place(api_server, data_plane, served_models) -> Iterator[KServePlace]:
    with place_of(api_server, data_plane, served_models, "Standard") as place:
        yield place


def deployments(place: KServePlace) -> list[str]:
    path = names.deployments(place.key.namespace, "").rstrip("/")
    return sorted(one["metadata"]["name"] for one in place.kubernetes.list(path))


def called_until(place: KServePlace, answers: list, left: list[str]) -> None:
    """Users go on until KServe has put away what it shall, and then some."""
    place.until(lambda: deployments(place) == left)
    enough = len(answers) + 30
    place.until(lambda: len(answers) >= enough)


def test_a_share_is_a_canary_entry_and_never_a_percentage_of_the_predictor(place):
    """Standard mode ignores `canaryTrafficPercent`: the model beside it would get everything at once."""
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with place.users.calling(body()) as answers:
        with_candidate(place, champion, candidate, 0)
    spec = place.service()["spec"]
    assert "canaryTrafficPercent" not in spec["predictor"]
    assert [one["trafficPercent"] for one in spec["canary"]] == [0]
    assert {version for _, version in answers} == {"1"}


def test_at_nothing_the_candidate_has_a_pod_of_its_own_and_answers_alone(place):
    """Without `minReplicas: 1` a canary at 0 % would have none."""
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, candidate, 0)
    assert place.serving.ask(place.key, ArmName.CANDIDATE, body("paper"), 5).status == 500
    assert place.serving.ask(place.key, ArmName.STABLE, body("paper"), 5).status == 200


def test_nobody_is_lost_while_the_candidate_is_promoted_and_its_pod_stays(place):
    """Deployments go before routes are written: so the weight moves first, and the stable predictor takes the
    candidate's name.
    """
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, candidate, 50)
    ran = [name for name in deployments(place) if name != "churn-predictor"]
    with place.users.calling(body()) as answers:
        serve(place, candidate)
        called_until(place, answers, ran)
    assert {status for status, _ in answers} == {200}
    assert place.service()["spec"]["predictor"]["name"] == ran[0].removeprefix("churn-").removesuffix(
        "-predictor"
    )


def test_nobody_is_lost_while_the_candidate_is_taken_away(place):
    champion, candidate = place.source(GOOD, "1"), place.source(PICKY, "2")
    serve(place, champion)
    with_candidate(place, champion, candidate, 50)
    with place.users.calling(body()) as answers:
        served = serve(place, champion)
        called_until(place, answers, ["churn-predictor"])
    assert {status for status, _ in answers} == {200}
    assert served.candidate == ABSENT


def test_going_back_is_a_canary_of_the_old_model(place):
    """After a promotion nothing of the old version is left running."""
    first, second = place.source(GOOD, "1"), place.source(MORTAL, "2")
    serve(place, first)
    serve(place, second)
    with place.users.calling(body()) as answers:
        serve(place, first)
        called_until(place, answers, [f"churn-{place.service()['spec']['predictor']['name']}-predictor"])
    assert {status for status, _ in answers} == {200}
    assert answers[-1][1] == "1"


def test_a_candidate_gets_copies_before_it_gets_traffic(place):
    champion = place.source(GOOD, "1", predictor=PredictorSpec(min_replicas=4))
    candidate = place.source(PICKY, "2", predictor=PredictorSpec(min_replicas=4))
    serve(place, champion)
    with_candidate(place, champion, candidate, 5)
    seen = []

    def look(served):
        entry = place.service()["spec"]["canary"][0]
        seen.append((entry["trafficPercent"], entry["predictor"]["minReplicas"]))
        return served.candidate_weight == 50

    settled(place, Wish(champion, candidate, 50), look)
    assert seen[-1] == (50, 2)
    assert all(copies == 2 for percent, copies in seen if percent == 50)
    assert (5, 2) in seen


def test_kserve_0_20_shares_no_traffic_so_there_is_no_canary(api_server, data_plane, served_models):
    with place_of(api_server, data_plane, served_models, "Standard", has_weights=False) as place:
        wish = Wish(place.source(GOOD, "1"), place.source(PICKY, "2"), 5)
        with pytest.raises(Refused, match=r"0\.20 shares no traffic") as caught:
            place.serving.apply(place.key, wish)
        assert "0.21" in caught.value.fix


def test_without_the_gateway_api_there_is_no_canary(api_server, data_plane, served_models):
    with place_of(api_server, data_plane, served_models, "Standard", has_gateway=False) as place:
        champion = place.source(GOOD, "1")
        settled(place, Wish(stable=champion), lambda served: served.stable.readiness is Readiness.READY)
        with pytest.raises(Refused, match="no HTTPRoute") as caught:
            place.serving.apply(place.key, Wish(champion, place.source(PICKY, "2"), 5))
        assert "enableGatewayApi" in caught.value.fix
        assert "canary" not in place.service()["spec"]
