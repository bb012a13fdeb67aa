"""KServe in both of its modes, counted by a real Prometheus, by the contract of all serving."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing

import pytest
from tests.support.cluster.kserve_place import KServePlace, place_of
from tests.support.serving_contract import ServingContract

from kfops.adapters.prometheus.api import Prometheus

pytestmark = pytest.mark.xdist_group("cluster")


@pytest.fixture(params=["Knative", "Standard"])
def place(request, api_server, data_plane, prometheus, served_models) -> Iterator[KServePlace]:
    with (
        place_of(api_server, data_plane, served_models, request.param) as place,
        closing(Prometheus(prometheus.url)) as counting,
    ):
        place.counted_by(counting)
        yield place


class TestKServe(ServingContract):
    pass
