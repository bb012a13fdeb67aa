"""One short piece of foreign work: told on standard input, bounded, its answer read."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from kfops.adapters.local.confined import Confined
from kfops.adapters.local.sandbox import NoSandbox, probe

READS_LATE = """
import json, sys, time
time.sleep(0.6)
print(json.dumps({"read": len(sys.stdin.buffer.read())}))
"""
NEVER_READS = "import json; print(json.dumps({'read': 0}))"
WAITS = "import time; time.sleep(60)"


@pytest.fixture(scope="module", params=["sandbox", "none"])
def sandbox(request):
    found = NoSandbox() if request.param == "none" else probe()
    if isinstance(found, str):
        pytest.skip(found)
    return found


def confined(sandbox, code):
    command = sandbox.argv([sys.executable, "-c", code], read_only={}, writable={}, chdir=Path("/"))
    return Confined(sandbox, command, largest_answer=1000)


@pytest.mark.parametrize("size", [0, 10, 3 << 20])
def test_what_it_is_told_arrives_however_much_and_however_late_it_reads(sandbox, size):
    with confined(sandbox, READS_LATE) as running:
        ended = running.finish(20, said=b"x" * size)
    assert (ended.code, ended.answer) == (0, {"read": size})


@pytest.mark.parametrize("size", [10, 3 << 20])
def test_one_that_does_not_listen_is_heard_all_the_same(sandbox, size):
    with confined(sandbox, NEVER_READS) as running:
        ended = running.finish(20, said=b"x" * size)
    assert (ended.code, ended.answer) == (0, {"read": 0})


def test_one_that_takes_too_long_is_ended_whatever_it_was_told(sandbox):
    with confined(sandbox, WAITS) as running:
        ended = running.finish(0.4, said=b"x" * (3 << 20))
    assert (ended.code, ended.answer, ended.stopped) == (None, None, "")


def test_one_that_does_too_much_is_ended_with_the_sentence(sandbox):
    with confined(sandbox, WAITS) as running:
        ended = running.finish(20, too_much=lambda: "it did too much")
    assert (ended.code, ended.stopped) == (None, "it did too much")


def test_one_that_nobody_waits_for_ends_with_its_block(sandbox):
    with confined(sandbox, WAITS) as running:
        process = running._process
    assert process.returncode is not None
