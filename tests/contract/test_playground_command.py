"""`kfops playground`: a folder in, addresses and tokens out, until it is stopped."""

from __future__ import annotations

import re
import socket
import threading
from pathlib import Path

import httpx
import pytest
from tests.support import playground as support

from kfops.playground.command import run


def test_it_serves_until_stopped(tmp_path: Path) -> None:
    folder = tmp_path / "churn"
    folder.mkdir()
    (folder / "kfops.yaml").write_text("version: 1\n")
    said: list[str] = []
    stop, done = threading.Event(), threading.Event()

    def say(line: str) -> None:
        said.append(line)
        if line.startswith("Ctrl+C"):
            done.set()

    with support.receiver() as (url, received):
        arguments = {"clock": support.now, "say": say, "until": stop, "webhook": (url, "s")}
        thread = threading.Thread(
            target=run, args=(0, tmp_path / "forge", [folder]), kwargs=arguments, daemon=True
        )
        thread.start()
        try:
            assert done.wait(20)
            address = said[0].partition(" ")[2]
            token = next(match[1] for line in said if (match := re.search(r"ada +token (\S+)", line)))
            headers = {"Authorization": f"token {token}", "Accept": "application/vnd.github.raw+json"}
            sent = httpx.get(
                f"{address}/api/v3/repos/ada/churn/contents/kfops.yaml", headers=headers, trust_env=False
            )
            assert sent.text == "version: 1\n"
        finally:
            stop.set()
            thread.join(20)
        assert [one.event for one in received] == ["ping"]


def test_a_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"--repo .*nowhere: expected a folder"):
        run(0, tmp_path / "forge", [tmp_path / "nowhere"], clock=support.now)


def test_a_port_that_is_taken(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken, pytest.raises(OSError, match=r"in use"):
        run(taken.getsockname()[1], tmp_path / "forge", clock=support.now)
