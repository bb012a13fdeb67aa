from __future__ import annotations

import pytest

from tests.chaos.stories import Shelf
from tests.support.world import world


@pytest.fixture(scope="module")
def shelf(tmp_path_factory):
    """The worlds that stories begin in, made once for a file of tests."""
    with world(tmp_path_factory.mktemp("world"), requires=("approval",)) as here:
        yield Shelf(here, tmp_path_factory.mktemp("shelf"))
