"""A canary on KServe that is taken back, in both of its modes, by the whole workflow: a real API server, real model
servers behind Envoy, requests counted by a real Prometheus; forge and pipelines in memory. One that is promoted is
played by `test_main_job_on_a_cluster.py`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace

import pytest
from tests.support import canary_models as models
from tests.support.canary_stage import AGO, CONFIG, Released, Rows, Shelf, Stage, change, wall
from tests.support.cluster.kserve_place import KServePlace, place_of
from tests.support.world import world

from kfops.adapters.local.sandbox import NoSandbox
from kfops.adapters.prometheus.api import Prometheus
from kfops.domain.canary_facts import Standstill
from kfops.domain.environment import EnvironmentKey
from kfops.domain.operation import Outcome
from kfops.domain.rollout import Reason
from kfops.ports.serving import ABSENT
from kfops.workflow.workers import Workers

pytestmark = pytest.mark.xdist_group("cluster")

PULLS = {"champion": models.GOOD, "fails": models.FAILS}
CANARY = (
    "{steps: [50], hold: 1s, min_requests: 30, max_error_increase: 0.2, max_latency_ratio: 20, patience: 60s,"
    " ask_timeout: 5s, watch: 1s, without_traffic: ask}"
)
CALL = models.request("month")
HARD = models.request(models.UNKNOWN)


@contextmanager
def stage(folder, place: KServePlace) -> Iterator[Stage]:
    """Two pull requests that have been run; nothing is deployed."""
    clock = Released(wall() - AGO)
    config = CONFIG.replace("namespace: churn,", f"namespace: {place.key.namespace},")
    with world(folder, config=config, canary=CANARY, clock=clock) as here:
        here.rps = 0
        here.pipelines = Shelf(folder / "runs", clock)
        here.restart()
        place.key = EnvironmentKey(here.repository.id, "churn", "production", place.key.namespace)
        made = Stage(here, place.serving)
        for name, kind in PULLS.items():
            made.pulls[name] = here.pull_request("ana", change(kind=kind))
            here.comment(made.pulls[name], "/build_run")
        here.settle()
        clock.is_free = True
        here.ports = replace(
            here.ports, serving=place.serving, traffic=place.traffic, scoring=Rows(NoSandbox())
        )
        workers = Workers(here.ports, here.options, "cluster", 2)
        workers.start()
        try:
            yield made
        finally:
            workers.stop()


@pytest.fixture(params=["Knative", "Standard"])
def place(request, api_server, data_plane, prometheus, served_models) -> Iterator[KServePlace]:
    with (
        place_of(api_server, data_plane, served_models, request.param) as place,
        closing(Prometheus(prometheus.url)) as counting,
    ):
        place.counted_by(counting)
        yield place


def test_a_bad_candidate_beside_a_first_champion_is_taken_back(place, tmp_path):
    with stage(tmp_path, place) as here:
        first = here.played("champion", here.say("champion", "/deploy"))
        assert first.operation.outcome is Outcome.SUCCEEDED, first.reply
        assert place.send(CALL) == (200, first.facts.model_version)

        with place.users.calling(HARD) as answers:
            bad = here.played("fails", here.say("fails", "/deploy"))
        assert bad.operation.outcome is Outcome.ROLLED_BACK, bad.reply
        assert bad.rollout.reason is Reason.ERRORS, bad.reply
        assert {version for status, version in answers if status != 200} == {bad.facts.model_version}
        assert bad.candidate_errors > 0
        assert bad.champion_errors == 0
        counter = place.traffic.standstill(place.key)
        assert isinstance(counter, Standstill)
        assert bad.rollout.rollback.still_at is not None
        assert {place.send(HARD) for _ in range(10)} == {(200, first.facts.model_version)}
        served = place.serving.observe(place.key)
        assert (served.stable.digest, served.candidate) == (first.facts.model_digest, ABSENT)
