"""Processes that outlive their starter, found again by id and moment of start."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path

import pytest

from kfops.adapters.local.processes import Handle, alive, spawn, stop, this_process


def eventually(is_so, within_s=10.0):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        if is_so():
            return True
        time.sleep(0.02)
    return False


def start(code, tmp_path, **environment):
    return spawn([sys.executable, "-u", "-c", code], env=environment, cwd=tmp_path, log=tmp_path / "log")


def test_it_lives_until_it_is_stopped(tmp_path):
    handle = start("import time; print('up'); time.sleep(60)", tmp_path)
    try:
        assert eventually(lambda: "up" in (tmp_path / "log").read_text())
        assert alive(handle)
        assert alive(Handle.from_json(handle.to_json()))
    finally:
        stop(handle, grace_s=5)
    assert not alive(handle)
    stop(handle, grace_s=5)


def test_the_environment_is_exactly_what_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("SECRET", "no")
    handle = start("import os; print(sorted(k for k in os.environ if k != 'LC_CTYPE'))", tmp_path, MINE="yes")
    assert eventually(lambda: not alive(handle))
    assert (tmp_path / "log").read_text().strip() == "['MINE']"


def test_a_reused_id_is_not_the_process(tmp_path):
    handle = start("import time; time.sleep(60)", tmp_path)
    try:
        assert not alive(replace(handle, started="another boot 12"))
        stop(replace(handle, started="another boot 12"), grace_s=1)
        assert alive(handle)
    finally:
        stop(handle, grace_s=5)


def test_the_whole_group_ends_even_one_that_does_not_want_to(tmp_path):
    code = """
import os, signal, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if os.fork() == 0:
    open('child', 'w').write(str(os.getpid()))
time.sleep(60)
"""
    handle = start(code, tmp_path)
    assert eventually(lambda: (tmp_path / "child").exists() and (tmp_path / "child").read_text())
    child = int((tmp_path / "child").read_text())
    stop(handle, grace_s=0.3)
    assert not alive(handle)
    assert eventually(
        lambda: not Path(f"/proc/{child}").exists() or " Z " in Path(f"/proc/{child}/stat").read_text()
    )


def test_it_outlives_who_started_it(tmp_path):
    code = f"""
import sys
from pathlib import Path
from kfops.adapters.local.processes import spawn
print(spawn([sys.executable, "-c", "import time; time.sleep(60)"], env={{}}, cwd=Path("/"), log=Path({str(tmp_path / "log")!r})).to_json())
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    handle = Handle.from_json(done.stdout)
    try:
        assert alive(handle)
        assert os.getsid(handle.pid) == handle.pid
    finally:
        stop(handle, grace_s=5)
    assert not alive(handle)


def test_one_that_was_killed_is_not_alive(tmp_path):
    handle = start("import time; time.sleep(60)", tmp_path)
    os.kill(handle.pid, signal.SIGKILL)
    assert eventually(lambda: not alive(handle))


def test_this_process_is_alive():
    assert alive(this_process())


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"pid": "x", "started": 1}', "nope"])
def test_what_is_no_handle_is_refused(text):
    with pytest.raises(ValueError, match="no process handle"):
        Handle.from_json(text)
