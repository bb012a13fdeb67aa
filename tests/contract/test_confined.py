"""Foreign work seen through to its end: what it is told arrives whole, however late it listens."""

from __future__ import annotations

import sys

from kfops.adapters.local.confined import Confined
from kfops.adapters.local.sandbox import NoSandbox

SLOW_READER = (
    "import json, sys, time; time.sleep(1.5); print(json.dumps({'bytes': len(sys.stdin.buffer.read())}))"
)


def test_more_than_a_pipe_holds_arrives_whole_at_one_who_reads_late():
    with Confined(NoSandbox(), [sys.executable, "-c", SLOW_READER], largest_answer=1000) as process:
        ended = process.finish(30, said=b"x" * 1_000_000)
    assert (ended.code, ended.answer) == (0, {"bytes": 1_000_000})


def test_one_who_never_reads_holds_nobody_up():
    with Confined(NoSandbox(), [sys.executable, "-c", "print('{}')"], largest_answer=1000) as process:
        assert process.finish(30, said=b"x" * 1_000_000).code == 0
