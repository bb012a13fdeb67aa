"""Ctrl+C leaves no training behind, at whatever moment it comes."""

from __future__ import annotations

import pytest
from tests.support.in_memory.pipelines import InMemoryPipelines, source

from kfops.adapters.system_clock import SystemClock
from kfops.cli.exits import Exit, Stop
from kfops.cli.following import Quiet, cancelled_by_ctrl_c, follow
from kfops.domain.run import RunState
from kfops.ports.pipelines import CompileOrder, RunOrder


class InterruptedBefore(InMemoryPipelines):
    def submit(self, order):
        raise KeyboardInterrupt


class InterruptedAfter(InMemoryPipelines):
    def submit(self, order):
        super().submit(order)
        raise KeyboardInterrupt


def order(pipelines, folder) -> RunOrder:
    (folder / "pipeline.py").write_text(source(steps={"train": 3600.0}))
    package = pipelines.compile(CompileOrder(folder, "pipeline.py", folder / "packages"))
    return RunOrder(name="kfc-1", package=package, source_dir=folder, parameters={}, timeout_s=7200.0)


class Interrupting(Quiet):
    def show(self, status):
        raise KeyboardInterrupt


def stopped(pipelines, asked, screen=None) -> Stop:
    with pytest.raises(Stop) as stop, cancelled_by_ctrl_c(pipelines, asked.name):
        follow(pipelines, pipelines.submit(asked), screen or Quiet())
    assert stop.value.code is Exit.INTERRUPTED
    return stop.value


def test_while_it_is_watched(tmp_path):
    pipelines = InMemoryPipelines(tmp_path / "runs", SystemClock())
    stop = stopped(pipelines, order(pipelines, tmp_path), Interrupting())
    assert "was cancelled" in str(stop)
    assert pipelines.status("kfc-1").state is RunState.CANCELED


def test_while_it_is_submitted(tmp_path):
    pipelines = InterruptedAfter(tmp_path / "runs", SystemClock())
    stop = stopped(pipelines, order(pipelines, tmp_path))
    assert "was cancelled" in str(stop)
    assert pipelines.status("kfc-1").state is RunState.CANCELED


def test_before_anything_was_started(tmp_path):
    pipelines = InterruptedBefore(tmp_path / "runs", SystemClock())
    assert "Nothing was started" in str(stopped(pipelines, order(pipelines, tmp_path)))
    assert pipelines.find("kfc-1") is None
