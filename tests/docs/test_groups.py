"""Tests that share a server run in one worker: a runner that forgets this starts a cluster in each."""

from __future__ import annotations

import pytest

pytestmark = pytest.mark.xdist_group("a group")


def test_the_runner_knows_groups(request: pytest.FixtureRequest) -> None:
    if not hasattr(request.config, "workerinput"):
        pytest.skip("one process runs all tests: there is nothing to share out")
    assert request.node.nodeid.endswith("@a group")
