"""The forge's patience is a budget: how many calls one `/build_run` and one `/deploy` cost."""

from __future__ import annotations

import httpx
import pytest
from tests.support.live import Live, live

from kfops.adapters.local.sandbox import probe

pytestmark = [
    pytest.mark.skipif(isinstance(probe(), str), reason=f"no sandbox starts here: {probe()}"),
    pytest.mark.xdist_group("live"),  # whole bots: one at a time on a small machine
]

KEPT_FOR_AN_HOUR = {
    "POST /app/installations/{installation_id}/access_tokens",
    "GET /repos/{owner}/{repo}/installation",
    "POST /repos/{owner}/{repo}/labels",  # once in a repository's life
    "git fetch",  # git, not the API
}


def calls(world: Live) -> dict[str, float]:
    text = httpx.get(f"http://127.0.0.1:{world.environment['KFOPS_PORT']}/metrics").text
    lines = [line for line in text.splitlines() if line.startswith("kfops_forge_calls_total{")]
    counted = {line.split('"')[1]: float(line.rsplit(" ", 1)[1]) for line in lines}
    return {name: count for name, count in counted.items() if name not in KEPT_FOR_AN_HOUR}


def spent(before: dict[str, float], after: dict[str, float]) -> dict[str, float]:
    return {
        name: count - before.get(name, 0) for name, count in after.items() if count != before.get(name, 0)
    }


def fixed(spent_calls: dict[str, float]) -> float:
    """Calls of the forge's patience: not those that only asked whether something changed (a 304 is free)."""
    unchanged = sum(count for name, count in spent_calls.items() if name.endswith(" 304"))
    return sum(spent_calls.values()) - 2 * unchanged - rhythm(spent_calls)


def rhythm(spent_calls: dict[str, float]) -> float:
    """What grows with time and so with the load of this machine: edits, and the check run of what takes longer."""
    return sum(count for name, count in spent_calls.items() if name.startswith("PATCH "))


def test_a_run_and_a_deployment_stay_within_their_budget_of_calls(tmp_path):
    with live(tmp_path, requires="[approval, checks, up-to-date]") as world:
        number = world.open_pull("first", "README.md", lambda text: f"{text}\nA first model.\n")
        before = calls(world)
        world.done("ada", number, "/build_run")
        after_run = calls(world)
        head = world.pull(number)["head"]["sha"]
        approval = {"event": "APPROVE", "commit_id": head}
        world.post("bob", f"/repos/ada/churn/pulls/{number}/reviews", approval)
        world.done("ada", number, "/deploy")
        after_deploy = calls(world)

    run, deploy = spent(before, after_run), spent(after_run, after_deploy)
    assert fixed(run) <= 9, run
    assert fixed(deploy) <= 24, deploy
