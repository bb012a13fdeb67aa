"""Only what the whole suite has one of: a server that takes seconds to start and hundreds of megabytes."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.support.api_server import ApiServer


@pytest.fixture(scope="session")
def api_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApiServer]:
    """A module that uses it marks itself `pytestmark = pytest.mark.xdist_group("cluster")`: one serves the whole suite."""
    from tests.support import api_server

    assets = api_server.assets_folder()
    if assets is None:
        pytest.skip(api_server.WHY)
    with api_server.running(assets, tmp_path_factory.mktemp("api-server")) as server:
        yield server
