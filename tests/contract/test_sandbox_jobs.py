"""The sandbox as Jobs, on a real API server; what a pod would run is run by the local sandbox."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from tests.support import node as nodes
from tests.support.api_server import ApiServer
from tests.support.node import Node

from kfops.adapters.kubernetes.sandbox.adapter import SandboxJobs
from kfops.adapters.kubernetes.sandbox.job import Place
from kfops.adapters.local.confined import Ended
from kfops.adapters.local.confinement import Limits
from kfops.adapters.local.sandbox import probe
from kfops.adapters.local.short_work import ShortWork

pytestmark = pytest.mark.xdist_group("cluster")
IMAGE = "registry.example.com/kfops@sha256:" + "0" * 64


@pytest.fixture
def node(api_server: ApiServer) -> Iterator[Node]:
    if isinstance(found := probe(), str):
        pytest.skip(found)
    with nodes.running(api_server) as made:
        yield made


@pytest.fixture
def room(api_server: ApiServer, node: Node) -> Iterator[SandboxJobs]:
    with closing(api_server.client()) as client:
        yield SandboxJobs(client, Place(node.namespace, IMAGE, starts_within_s=20), look_every_s=0.05)


def work(folder: Path, text: str, **more: object) -> ShortWork:
    folder.mkdir(exist_ok=True)
    (folder / "tool.py").write_text(text)
    made = {
        "purpose": "probe",
        "command": ("python", "-I", "-S", "/tools/tool.py"),
        "read_only": {folder: Path("/tools")},
        "chdir": Path("/"),
        "limits": Limits(memory_bytes=1 << 30, file_bytes=1 << 20),
        "timeout_s": 20.0,
        "largest_answer": 1 << 20,
    }
    return ShortWork(**(made | more))


def done(room: SandboxJobs, one: ShortWork, said: bytes = b"") -> Ended:
    with room.start(one) as running:
        return running.finish(said)


def test_work_is_done_and_its_answer_comes_back(room, node, tmp_path):
    ended = done(
        room, work(tmp_path / "a", "import sys\nprint('{\"x\": 1}')\nprint('words', file=sys.stderr)\n")
    )

    assert (ended.code, ended.answer, ended.log_tail, ended.stopped) == (0, {"x": 1}, "words\n", "")
