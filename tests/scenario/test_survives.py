"""`kill -9` in the middle of training and in the middle of a canary: it goes on, and nothing is done twice."""

from __future__ import annotations

import json

import pytest
from tests.support.live import TEMPLATE, live

from kfops.adapters.local.sandbox import probe
from kfops.demo.traffic import Load

pytestmark = [
    pytest.mark.skipif(isinstance(probe(), str), reason=f"no sandbox starts here: {probe()}"),
    pytest.mark.xdist_group("live"),  # whole bots: one at a time on a small machine
]


def logs(folder):
    return folder.glob("bot/pipelines/*/log.txt")


def test_the_main_job_survives_being_killed_in_training_and_in_the_canary(tmp_path):
    with live(tmp_path) as world:
        first = world.open_pull("first", "README.md", lambda text: f"{text}\nA first model.\n")
        run = world.say("ada", first, "/build_run")
        world.until(lambda: any("'train'" in log.read_text() for log in logs(tmp_path)), "training", 60)
        world.kill()
        world.start()

        assert world.ending(run) == "rocket"
        assert world.ending(world.say("ada", first, "/deploy")) == "rocket"
        assert world.pull(first)["merged"]
        assert len(world.replies(first)) == 2

        second = world.open_pull("second", "README.md", lambda text: f"{text}\nA second model.\n")
        assert world.ending(world.say("ada", second, "/build_run")) == "rocket"
        request = (TEMPLATE / "samples" / "request.json").read_bytes()
        with Load(f"{world.endpoint('production')}/predict", [request], 40) as load:
            deploy = world.say("ada", second, "/deploy")
            world.until(lambda: any("| 25 %" in body for body in world.replies(second)), "the canary", 60)
            world.kill()
            world.start()
            assert world.ending(deploy, 200) == "rocket"
            report = load.report()

        assert not report.losses, json.dumps([str(one) for one in report.losses[:5]])
        assert set(report.by_version) == {"1", "2"}
        pull = world.pull(second)
        assert pull["merged"]
        assert [one["name"] for one in pull["labels"]] == ["Deployed-to-production"]
        assert world.pull(first)["labels"] == []
        assert len(world.replies(second)) == 2
