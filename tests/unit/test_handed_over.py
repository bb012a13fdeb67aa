"""What a run's steps wrote, and why it failed: foreign JSON, of which only what can be shown and stored is taken."""

from __future__ import annotations

import json

import pytest

from kfops.adapters.local.pipelines.failing import failure_of
from kfops.adapters.local.pipelines.following import follow
from kfops.adapters.local.pipelines.handed_over import HandedOver
from kfops.domain.run import FailureKind
from kfops.domain.step_log import MARK, progress_of

RUN = "churn-2026-01-02-03-04-05-123456"
ODD = {"\ud800": 1.0, "nul\0": 2.0, "line\n": 3.0}


def written(tmp_path, file, content):
    place = tmp_path / "work" / RUN / "train"
    place.mkdir(parents=True)
    (place / file).write_text(json.dumps(content))
    return HandedOver(
        tmp_path / "work", "churn", [("train", "train", ["metrics"])], tmp_path / "taken"
    ).take()


def test_r11_metrics_have_names_that_can_be_shown_and_stored(tmp_path):
    metrics = written(tmp_path, "metrics", {**ODD, "größe": 4.0}).metrics
    assert metrics == {"größe": 4.0}


def test_r11_output_parameters_have_names_that_can_be_shown_and_stored(tmp_path):
    values = written(tmp_path, "executor_output.json", {"parameterValues": {**ODD, "rows": 5}}).values
    assert values == {"train.rows": 5}


@pytest.mark.parametrize("said", ["[" * 100_000, "{", '{"error": 1' + "0" * 5000 + "}", "null"])
def test_r11_what_cannot_be_read_of_the_engines_last_line_is_no_reason_to_die(tmp_path, said):
    following = follow([f"KFOPS_RUN {said}", "killed"], [])
    failure = failure_of(following, tmp_path, 1, 1 << 30)
    assert (failure.kind, failure.summary) == (FailureKind.BACKEND, "killed")


def test_the_engines_last_line_is_told_without_colours_and_without_what_cannot_be_stored(tmp_path):
    said = json.dumps({"error": "\x1b[31mno\0 such step"})
    assert failure_of(follow([f"KFOPS_RUN {said}"], []), tmp_path, 1, 1 << 30).summary == "no such step"


def test_words_of_progress_can_be_stored():
    progress = progress_of(MARK + json.dumps({"learner": "lg\ud800bm", "metric": "\x01"}), "train")
    assert (progress.learner, progress.metric) == ("lgbm", None)
