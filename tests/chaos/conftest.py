from __future__ import annotations

import pytest

from tests.chaos.everything import shelf_in
from tests.chaos.quick_folder import quick_folder


@pytest.fixture(scope="module")
def shelf():
    """The worlds that stories begin in, made once for a file of tests."""
    with quick_folder() as folder, shelf_in(folder) as made:
        yield made
