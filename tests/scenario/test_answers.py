"""The commands that answer at once, a typing error, and a run that is stopped: through the whole bot."""

from __future__ import annotations

import pytest
from tests.support.live import live

from kfops.adapters.local.sandbox import probe

pytestmark = [
    pytest.mark.skipif(isinstance(probe(), str), reason=f"no sandbox starts here: {probe()}"),
    pytest.mark.xdist_group("live"),  # whole bots: one at a time on a small machine
]


def test_answers_a_mistake_a_cancelled_run_and_a_build(tmp_path):
    with live(tmp_path) as world:
        number = world.open_pull("one", "README.md", lambda text: f"{text}\nA first model.\n")
        for asked in ("/help", "/status", "/plan /deploy"):
            world.done("ada", number, asked)
        assert world.ending(world.say("ada", number, "/deplyo")) == "-1"
        assert "Did you mean /deploy?" in world.replies(number)[-1]

        run = world.say("ada", number, "/build_run")
        logs = tmp_path / "bot" / "pipelines"
        world.until(
            lambda: any("'train'" in log.read_text() for log in logs.glob("*/log.txt")), "training", 60
        )
        world.done("ada", number, "/cancel")
        assert world.ending(run) == "confused"
        world.done("ada", number, "/build")
        assert len(world.replies(number)) == 7
