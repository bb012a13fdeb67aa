"""Only what the whole suite has one of: servers that take seconds to start and hundreds of megabytes."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from kfops.logs import plain
from tests.support import syntax_trees

if TYPE_CHECKING:
    from tests.support.cluster.api_server import ApiServer
    from tests.support.cluster.kserve_data_plane import DataPlane
    from tests.support.servers.postgres import PostgresServer
    from tests.support.servers.prometheus_server import Scraping

syntax_trees.mend()

_MINUTES_EACH = ("live", "cluster", "serving")


def pytest_configure() -> None:
    """As the bot logs: the library's own way takes seconds to show a traceback."""
    plain()


def pytest_collection_finish() -> None:
    """The libraries that are loaded now stay: the collector need not look at them again, some hundred times."""
    gc.collect()
    gc.freeze()


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Groups that keep one worker for minutes begin first, so that none of them is alone at the end."""

    def place(item: pytest.Item) -> int:
        group = item.get_closest_marker("xdist_group")
        named = group.args[0] if group else None
        return _MINUTES_EACH.index(named) if named in _MINUTES_EACH else len(_MINUTES_EACH)

    items.sort(key=place)


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A module that uses it marks itself `pytestmark = pytest.mark.xdist_group("cluster")`: one serves the whole suite."""
    from tests.support.cluster import api_server

    assets = api_server.assets_folder()
    if assets is None:
        pytest.skip(api_server.WHY)
    with api_server.running(assets, tmp_path_factory.mktemp("api-server")) as server:
        yield server


@pytest.fixture(scope="session")
def served_models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model directories of `tests.support.served_models`, one below the other."""
    from tests.support import served_models

    return served_models.make_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(scope="session")
def data_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DataPlane]:
    """What stands behind InferenceServices; for modules that use `api_server`."""
    from tests.support.cluster.kserve_data_plane import DataPlane

    plane = DataPlane(tmp_path_factory.mktemp("plane"))
    plane.start()
    yield plane
    plane.stop()


@pytest.fixture(scope="session")
def postgres() -> Iterator[PostgresServer]:
    """A module that uses it marks itself `pytestmark = pytest.mark.xdist_group("postgres")`: one serves the whole suite."""
    from tests.support.servers import postgres

    found = postgres.binaries()
    if found is None:
        pytest.skip(postgres.WHY)
    with postgres.running(found) as server:
        yield server


@pytest.fixture(scope="session")
def prometheus(data_plane: DataPlane, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scraping]:
    """A real one that scrapes what the data plane's requests would be counted as; for modules that use `api_server`."""
    from tests.support.servers import prometheus_server

    binary = prometheus_server.prometheus_binary()
    if binary is None:
        pytest.skip(prometheus_server.WHY)
    with prometheus_server.scraping(
        binary, tmp_path_factory.mktemp("prometheus"), data_plane.access_log
    ) as found:
        yield found
