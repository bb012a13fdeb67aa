"""What a demo started does not outlive it, and its ports can be chosen."""

from __future__ import annotations

import os
import select
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfops.demo.scene import play
from kfops.demo.world import Ports

DEMO = """
import os, subprocess, sys, time
from pathlib import Path
from kfops.demo.guard import guarded

bot = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
with guarded(bot.pid, Path(sys.argv[1]) / "bot", Path(sys.argv[1]), dict(os.environ)):
    print(bot.pid, flush=True)
    time.sleep(600)
"""


def test_a_killed_demo_takes_its_bot_and_its_folder_with_it(tmp_path: Path) -> None:
    folder = tmp_path / "demo"
    (folder / "bot").mkdir(parents=True)
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(
        [sys.executable, "-c", DEMO, str(folder)], env=environment, stdout=subprocess.PIPE, text=True
    ) as demo:
        assert demo.stdout is not None
        bot = os.pidfd_open(int(demo.stdout.readline()))
        try:
            demo.send_signal(signal.SIGKILL)
            # A pidfd is readable once its process has ended.
            assert select.select([bot], [], [], 60)[0], "the bot outlived its demo by a minute"
        finally:
            os.close(bot)
    deadline = time.monotonic() + 60
    while folder.exists() and time.monotonic() < deadline:
        time.sleep(0.1)
    assert not folder.exists()


@pytest.mark.parametrize("whose", ["forge", "bot"])
def test_a_taken_port_of_the_demo_is_named(whose: str, tmp_path: Path) -> None:
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = Ports(forge=port) if whose == "forge" else Ports(bot=port)
        code = play(once=True, ports=ports, data_dir=tmp_path, say=lambda line: said.append(str(line)))
    assert code == 1
    assert f"port {port} of 127.0.0.1, meant for the {whose}, cannot be had" in said[-1]
    assert "0 for any that is free" in said[-1]
