"""The tracking server as a process: one per folder, adopted, ended with its folder."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from kfops.adapters.mlflow.server import MlflowServer
from kfops.ports.errors import Unavailable

pytestmark = pytest.mark.xdist_group("mlflow")  # each of them starts a server


def _pid(folder: Path) -> int:
    return int(json.loads((folder / "server.json").read_text())["process"]["pid"])


def _as_an_earlier_version_wrote_it(file: Path) -> None:
    state = json.loads(file.read_text())
    state["process"]["started"] = int(state["process"]["started"].split()[-1])
    file.write_text(json.dumps(state))


def _group_is_gone_within(group: int, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        with contextlib.suppress(ChildProcessError):
            os.waitpid(group, os.WNOHANG)
        try:
            os.killpg(group, 0)
        except ProcessLookupError:
            return True
        time.sleep(0.1)
    return False


def test_one_server_per_folder_lives_as_long_as_the_folder(tmp_path: Path) -> None:
    folder = tmp_path / "mlflow with space"
    server = MlflowServer(folder)
    try:
        with ThreadPoolExecutor(2) as pool:
            urls = set(pool.map(lambda each: each.ensure_running(), [server, MlflowServer(folder)]))
        (url,) = urls
        keeper = _pid(folder)
        assert MlflowServer(folder).ensure_running() == url
        assert _pid(folder) == keeper
        _as_an_earlier_version_wrote_it(folder / "server.json")
        assert MlflowServer(folder).ensure_running() == url
        assert _pid(folder) == keeper
        assert httpx.get(f"{url}/version").is_success
        assert (
            httpx.get(
                f"{url}/api/2.0/mlflow/experiments/search", headers={"host": "evil.example"}
            ).status_code
            == 403
        )
        assert (folder / "mlflow.db").is_file()

        server.shutdown()
        assert _group_is_gone_within(keeper, 20)
        server.shutdown()

        assert server.start() == url  # the remembered port
        keeper = _pid(folder)
        shutil.rmtree(folder)
        assert _group_is_gone_within(keeper, 30)
    finally:
        server.shutdown()


def test_a_server_that_cannot_start_says_why(tmp_path: Path) -> None:
    (tmp_path / "mlflow.db").write_text("this is no database, however long one looks at it\n" * 40)
    server = MlflowServer(tmp_path)
    try:
        with pytest.raises(Unavailable, match="file is not a database"):
            server.ensure_running()
    finally:
        server.shutdown()


def test_a_port_taken_by_another_is_left_to_it(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        state = {"process": {"pid": 2**22, "started": 1}, "port": port}
        (tmp_path / "server.json").write_text(json.dumps(state))
        server = MlflowServer(tmp_path)
        try:
            assert server.start() != f"http://127.0.0.1:{port}"
        finally:
            server.shutdown()
