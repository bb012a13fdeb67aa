"""The whole way with real parts, as `kfops demo --once --report FILE` goes it."""

from __future__ import annotations

import json
from pathlib import Path

import httpx
import pytest

from kfops.demo.scene import play


@pytest.mark.xdist_group("live")
@pytest.mark.slow
def test_three_models_on_their_way_to_production(tmp_path: Path) -> None:
    said: list[str] = []
    path = tmp_path / "report.json"

    code = play(once=True, report=path, say=lambda line: said.append(str(line)))

    assert code == 0, "\n".join(said)
    found = json.loads(path.read_text())
    first, second, third, fourth = found["pull_requests"]
    assert [one["merged"] for one in (first, second, third, fourth)] == [True, True, False, False]
    assert "Deployed-to-production" in second["labels"]
    assert "Deployed-to-production" not in first["labels"]
    assert found["serving"]["production"]["model_version"] == "2"
    assert found["serving"]["staging"]["model_version"] == "3"
    for pull in found["pull_requests"]:
        commands = sum(one["body"].startswith("/") for one in pull["comments"])
        assert commands * 2 == len(pull["comments"])  # one reply a command
    assert {one["login"]: one["permission"] for one in found["users"]} == {
        "ada": "admin",
        "bob": "maintain",
        "carol": "read",
    }
    assert found["timeline"][-1]["at_s"] <= found["seconds"]
    for url in (found["forge"], *(one["url"] for one in found["serving"].values())):
        with pytest.raises(httpx.ConnectError):  # nothing of it outlives the scene
            httpx.get(url, timeout=5, trust_env=False)
