"""A run's output, read line by line."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfops.adapters.local.pipelines.following import follow
from kfops.domain.package import StepKind, StepSpec
from kfops.domain.run import CurvePoint, RunState
from kfops.domain.step_log import frames, last_words, place_of, progress_of, readable

SPECS = [StepSpec(name, name, StepKind.PYTHON) for name in ("validate", "train", "evaluate")]
LOG = """\
05:54:47.400 - INFO - Running pipeline: \x1b[95m'pp'\x1b[0m
--------------------------------------------------------------------------------
05:54:47.500 - INFO - Executing task \x1b[96m'validate'\x1b[0m
05:54:47.519 - INFO - Streamed logs:

    [KFP Executor 2026-11-21 05:54:47,581 INFO]: Looking for component `first`
    fine
    05:54:47.595 - INFO - Task 'train' finished with status SUCCESS

05:54:49.000 - INFO - Task \x1b[96m'validate'\x1b[0m finished with status \x1b[92mSUCCESS\x1b[0m
05:54:49.000 - INFO - Task 'validate' outputs:
    Output: 3
--------------------------------------------------------------------------------
05:54:49.000 - INFO - Executing task \x1b[96m'train'\x1b[0m
05:54:49.000 - INFO - Streamed logs:

    [KFP Executor 2026-11-21 05:54:47,667 INFO]: Got executor_input:
    {
        "inputs": {
            "parameterValues": {"n": 3}
        }
    }
    KFOPS_PROGRESS {"elapsed": 1.0, "budget": 3, "trials": 4, "learner": "lgbm", "metric": "roc_auc", "best": 0.8}
    KFOPS_PROGRESS {"elapsed": 2.0, "budget": 3, "trials": 9, "learner": "rf", "metric": "roc_auc", "best": 0.85}
    hello
    Traceback (most recent call last):
      File "<frozen runpy>", line 198, in _run_module_as_main
      File "/v/lib/python3.11/site-packages/kfp/dsl/executor.py", line 453, in execute
        result = self.func(**func_kwargs)
                 ^^^^^^^^^^^^^^^^^^^^^^^^
      File "/tmp/tmp.XcNtjMGofx/ephemeral_component.py", line 36, in train
        fit("k")
      File "/tmp/tmpyzue1hix/training.py", line 3, in fit
        return d[x]
               ~^^^
    KeyError: 'k'

05:54:59.500 - ERROR - Task \x1b[96m'train'\x1b[0m finished with status \x1b[91mFAILURE\x1b[0m
--------------------------------------------------------------------------------
KFOPS_RUN {"state": "FAILED"}
"""


def test_steps_progress_and_curve_come_out_of_a_log():
    seen = follow(LOG.splitlines(), SPECS)
    assert [step.state for step in seen.steps] == [RunState.SUCCEEDED, RunState.FAILED, RunState.PENDING]
    assert [step.seconds for step in seen.steps] == [1.5, 10.5, None]
    assert seen.steps[1].note == "rf, 9 trials"
    assert (seen.progress.step, seen.progress.trials, seen.progress.budget_s) == ("train", 9, 3.0)
    assert seen.curve == [CurvePoint(1.0, 0.8), CurvePoint(2.0, 0.85)]
    assert seen.failed == 1
    assert seen.outside[-1] == 'KFOPS_RUN {"state": "FAILED"}'


def test_a_step_cannot_speak_for_the_framework():
    assert follow(LOG.splitlines()[:8], SPECS).steps[1].state is RunState.PENDING


def test_the_tail_is_free_of_the_framework():
    tail = follow(LOG.splitlines(), SPECS).tail(1)
    assert tail == [
        "hello",
        "Traceback (most recent call last):",
        '  File "/tmp/tmp.XcNtjMGofx/ephemeral_component.py", line 36, in train',
        '    fit("k")',
        '  File "/tmp/tmpyzue1hix/training.py", line 3, in fit',
        "    return d[x]",
        "           ~^^^",
        "KeyError: 'k'",
    ]
    assert last_words(tail) == "KeyError: 'k'"


def test_the_place_is_found_by_the_source_line():
    found = frames(follow(LOG.splitlines(), SPECS).tail(1))
    sources = {
        "model/training.py": "def fit(x):\n    d = {}\n    return d[x]\n",
        "other/training.py": "def fit(x):\n    d = {}\n    return x\n",
        "components/train.py": "from kfp import dsl\n\ndef train(\n    n: int,\n):\n    fit('other')\n    fit(\"k\")\n",
    }
    assert place_of(found, sources) == ("model/training.py", 3)
    del sources["model/training.py"]
    assert place_of(found, sources) == ("components/train.py", 7)
    assert place_of(found, {}) is None
    twice = {"a/training.py": sources["components/train.py"], "b.py": sources["components/train.py"]}
    assert place_of(found, twice) is None


def test_a_run_that_ends_takes_its_steps_along():
    seen = follow(LOG.splitlines()[:17], SPECS)
    assert seen.steps[1].state is RunState.RUNNING
    seen.ended(RunState.CANCELED, 20.0)
    assert [step.state for step in seen.steps] == [RunState.SUCCEEDED, RunState.CANCELED, RunState.SKIPPED]


def test_a_retry_that_succeeds_is_no_failure():
    lines = [
        "05:00:00.000 - INFO - Executing task 'train'",
        "05:00:01.000 - ERROR - Task 'train' finished with status FAILURE",
        "05:00:02.000 - INFO - Executing task 'train'",
        "05:00:03.000 - INFO - Task 'train' finished with status SUCCESS",
    ]
    seen = follow(lines, [SPECS[1], StepSpec("train-2", "train", StepKind.PYTHON)])
    assert (seen.failed, seen.steps[0].state, seen.steps[1].state) == (
        None,
        RunState.SUCCEEDED,
        RunState.PENDING,
    )


def test_midnight_is_no_trouble():
    lines = [
        "23:59:59.000 - INFO - Executing task 'train'",
        "00:00:01.000 - INFO - Task 'train' finished with status SUCCESS",
    ]
    assert follow(lines, SPECS).steps[1].seconds == 2.0


def test_the_curve_stays_short():
    head = ["05:00:00.000 - INFO - Executing task 'train'"]
    rising = [f'    KFOPS_PROGRESS {{"elapsed": {n}, "best": {n}}}' for n in range(1000)]
    level = [f'    KFOPS_PROGRESS {{"elapsed": {n}, "best": 1}}' for n in range(1000)]
    curve = follow(head + rising, SPECS).curve
    assert len(curve) <= 60
    assert (curve[0].best, curve[-1].best) == (0.0, 999.0)
    assert follow(head + level, SPECS).curve == [CurvePoint(0.0, 1.0), CurvePoint(999.0, 1.0)]


@pytest.mark.parametrize(
    "line",
    [
        "KFOPS_PROGRESS",
        "KFOPS_PROGRESS {",
        "KFOPS_PROGRESS [1]",
        "KFOPS_PROGRESS " + "[" * 1500,
        "say KFOPS_PROGRESS {}",
        "KFOPS_PROGRESS " + json.dumps({"note": "x" * 3000}),
    ],
)
def test_what_is_no_progress_is_none(line):
    assert progress_of(line, "train") is None


@pytest.mark.parametrize("value", ["NaN", "Infinity", "true", '"5"', "[5]", "1e400", "9" * 400])
def test_numbers_that_are_none_are_left_out(value):
    progress = progress_of(
        f'KFOPS_PROGRESS {{"best": {value}, "trials": {value}, "learner": {value}}}', "train"
    )
    assert progress is not None
    assert (progress.best, progress.trials) == (None, None)


@given(st.lists(st.text(max_size=80), max_size=20))
def test_any_text_can_be_followed(lines):
    seen = follow(["05:00:00.000 - INFO - Executing task 'train'", *(f"    {line}" for line in lines)], SPECS)
    assert len(readable(lines)) <= 40
    assert isinstance(last_words(seen.tail(1)), str)
    assert place_of(frames(lines), {"a.py": "x"}) is None or lines


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        ([], ""),
        (["one", "", "two", ""], "two"),
        (
            ["Traceback (most recent call last):", '  File "a.py", line 1, in f', "    x()", "SystemExit"],
            "SystemExit",
        ),
        (
            ["Traceback (most recent call last):", "pkg.mod.OddName: why", "  more of why"],
            "pkg.mod.OddName: why\n  more of why",
        ),
        (["Killed"], "Killed"),
    ],
)
def test_last_words(lines, words):
    assert last_words(lines) == words
