"""Real model directories, scored in the sandbox."""

from __future__ import annotations

import pickle
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from kfops.adapters.local.sandbox import NoSandbox, probe
from kfops.adapters.local.scoring.adapter import LocalScoring
from kfops.domain.evidence import Comparison, ScoringFailure, Word
from kfops.domain.golden import Answers
from kfops.ports.errors import Refused
from kfops.ports.scoring import Heldout

pytestmark = pytest.mark.xdist_group("scoring")  # its models are made once
SECRET = "KFOPS_TEST_TOKEN_7f3a"

MAKE = """
import sys, warnings
warnings.simplefilter("ignore")
import numpy as np, pandas as pd
from mlflow.models import infer_signature
from mlflow.sklearn import save_model
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression, LinearRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from pathlib import Path
place = Path(sys.argv[1])
random = np.random.default_rng(1)
n = 900
rows = pd.DataFrame({"tenure": random.integers(0, 70, n), "charges": random.normal(60, 20, n), "contract": random.choice(["m", "y"], n)})
odds = -rows.tenure / 20 + rows.charges / 40 + (rows.contract == "m")
rows["churn"] = np.where(random.random(n) < 1 / (1 + np.exp(-odds)), "Yes", "No")
rows["spend"] = rows.tenure * rows.charges + random.normal(0, 300, n)
rows.loc[:5, "charges"] = np.nan
train, test = rows[:600].dropna(), rows[600:].assign(__row__=[f"h{i}" for i in range(300)])
test.to_parquet(place / "heldout.parquet")
(place / "seen").write_text("h1\\nh2\\nx\\n"); (place / "unseen").write_text("x\\ny\\n")
def save(name, model, columns, target):
    model.fit(train[columns], train[target])
    save_model(model, place / name, serialization_format="cloudpickle", pip_requirements=["scikit-learn"],
               signature=infer_signature(train[columns].astype({"tenure": float}), train[target]))
every = ["tenure", "charges", "contract"]
def columns(): return make_column_transformer((OneHotEncoder(handle_unknown="ignore"), ["contract"]), (StandardScaler(), ["tenure", "charges"]))
save("good", make_pipeline(columns(), LogisticRegression()), every, "churn")
save("weak", make_pipeline(make_column_transformer((OneHotEncoder(), ["contract"])), LogisticRegression()), every, "churn")
save("numbers", make_pipeline(columns(), LinearRegression()), every, "spend")
"""


class Evil:
    def __init__(self, code):
        self.code = code

    def __reduce__(self):
        return (exec, (self.code,))


@pytest.fixture(scope="module")
def scoring():
    """In the sandbox, where one starts."""
    found = probe()
    return LocalScoring(NoSandbox() if isinstance(found, str) else found, timeout_s=60)


@pytest.fixture(scope="module")
def models(tmp_path_factory):
    place = tmp_path_factory.mktemp("models")
    subprocess.run([sys.executable, "-c", MAKE, str(place)], check=True, capture_output=True, timeout=120)
    return place


def compared(scoring, models, challenger="good", champion=None, **more):
    more = {"task": "classification", "target": "churn", "seed": 1, **more}
    return scoring.compare(
        models / challenger, models / champion if champion else None, models / "heldout.parquet", **more
    )


def evil(models, tmp_path, code):
    place = Path(shutil.copytree(models / "good", tmp_path / "evil"))
    (place / "model.pkl").write_bytes(pickle.dumps(Evil(code)))
    return place


def test_the_first_model_is_scored_alone(scoring, models):
    found = compared(scoring, models)
    assert [row.name for row in found.rows] == ["roc_auc", "accuracy", "f1", "log_loss"]
    assert found.challenger["roc_auc"] > 0.7
    assert {row.word for row in found.rows} == {None}
    assert (found.heldout_rows, found.champion, found.warnings) == (300, {}, ())


def test_where_the_operator_wants_no_sandbox_the_score_is_the_same(scoring, models):
    without = LocalScoring(NoSandbox(), timeout_s=60)
    assert compared(without, models) == compared(scoring, models)


def test_a_better_model_is_better_and_the_same_one_is_within_noise(scoring, models):
    found = compared(scoring, models, "good", "weak", champion_training_rows=models / "unseen")
    row = found.row("roc_auc")
    assert row.word is Word.BETTER
    assert row.low < row.delta < row.high
    assert found.row("log_loss").word is Word.BETTER
    assert found.warnings == ()
    again = compared(scoring, models, "good", "weak", champion_training_rows=models / "unseen")
    assert again == found
    same = compared(scoring, models, "good", "good", champion_training_rows=models / "unseen")
    assert {row.word for row in same.rows} == {Word.WITHIN_NOISE}


def test_attempts_widen_the_interval(scoring, models):
    once = compared(scoring, models, "good", "weak").row("roc_auc")
    tenth = compared(scoring, models, "good", "weak", attempts=10)
    assert tenth.row("roc_auc").high - tenth.row("roc_auc").low > once.high - once.low
    assert tenth.level == pytest.approx(0.995)
    assert "not known which rows" in tenth.warnings[0]


def test_a_champion_that_was_trained_on_the_rows_is_not_comparable(scoring, models):
    found = compared(scoring, models, "good", "weak", champion_training_rows=models / "seen")
    assert (found.overlap, found.reason) == (2, "production was trained on 2 of these rows")
    assert {row.word for row in found.rows} == {Word.NOT_COMPARABLE}
    assert found.champion == {}


def test_a_champion_that_cannot_take_the_rows_is_not_comparable(scoring, models, tmp_path):
    champion = evil(models, tmp_path, "raise RuntimeError('too old')")
    found = scoring.compare(
        models / "good", champion, models / "heldout.parquet", task="classification", target="churn"
    )
    assert isinstance(found, Comparison)
    assert "too old" in found.reason
    assert {row.word for row in found.rows} == {Word.NOT_COMPARABLE}


def test_numbers_are_scored_too(scoring, models):
    found = compared(scoring, models, "numbers", "numbers", task="regression", target="spend")
    assert [row.name for row in found.rows][:3] == ["r2", "mae", "rmse"]
    series = compared(scoring, models, "numbers", "numbers", task="ts_forecast", target="spend")
    assert {row.word for row in series.rows} == {Word.WITHIN_NOISE}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("raise ValueError('does not load')", "does not load"),
        ("import os; os._exit(9)", "exit code 9"),
        ("raise SystemExit('no')", "no"),
        ("import os; os.write(1, b'{}'); os._exit(0)", ""),
    ],
)
def test_a_challenger_that_fails_is_a_failure_with_its_words(scoring, models, tmp_path, code, words):
    found = scoring.compare(
        evil(models, tmp_path, code), None, models / "heldout.parquet", task="classification", target="churn"
    )
    assert isinstance(found, ScoringFailure)
    assert words in found.summary


def test_the_wrong_target_is_told(scoring, models):
    found = compared(scoring, models, target="churned")
    assert isinstance(found, ScoringFailure)
    assert "no column 'churned'" in found.summary


def test_an_unknown_task_is_refused(scoring, models):
    with pytest.raises(Refused, match="classification"):
        compared(scoring, models, task="clustering")


def test_a_model_finds_no_secret_and_its_time_has_an_end(models, tmp_path, monkeypatch):
    found = probe()
    if isinstance(found, str):
        pytest.skip(found)
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    code = "import glob, time\nfor p in glob.glob('/proc/*/environ'):\n    try: print(open(p).read())\n    except OSError: pass\ntime.sleep(60)"
    started = time.monotonic()
    failure = LocalScoring(found, timeout_s=4).compare(
        evil(models, tmp_path, code), None, models / "heldout.parquet", task="classification", target="churn"
    )
    assert time.monotonic() - started < 30
    assert failure.summary == "no answer within the time allowed"
    assert SECRET not in failure.log_tail


def test_files_that_only_we_can_read_are_scored(scoring, models, tmp_path):
    place = Path(shutil.copytree(models / "good", tmp_path / "closed"))
    for path in (place, *place.rglob("*")):
        path.chmod(0o700 if path.is_dir() else 0o600)
    found = scoring.compare(place, None, models / "heldout.parquet", task="classification", target="churn")
    assert isinstance(found, Comparison)


def test_held_out_rows_come_as_a_caller_would_send_them(scoring, models):
    found = scoring.questions(models / "heldout.parquet", target="churn", most=5)
    assert len(found.rows) == len(found.labels) == 5
    assert set(found.rows[0]) == {"tenure", "charges", "contract", "spend"}  # no target, no row hash
    assert set(found.labels) <= {"Yes", "No"}
    wrong = scoring.questions(models / "heldout.parquet", target="churned", most=5)
    assert isinstance(wrong, ScoringFailure)
    assert "no column 'churned'" in wrong.summary


def test_answers_are_scored_as_the_models_are_that_gave_them(scoring, models):
    heldout = Heldout(models / "heldout.parquet", "classification", "churn", models / "unseen", seed=1)
    labels = scoring.questions(heldout.path, target="churn", most=200).labels
    right = Answers(labels, tuple((0.1, 0.9) if one == "Yes" else (0.9, 0.1) for one in labels))
    wrong = Answers(tuple("No" for _ in labels), tuple((0.6, 0.4) for _ in labels))
    found = scoring.judge(right, wrong, heldout)
    assert (found.heldout_rows, found.challenger["roc_auc"], found.challenger["accuracy"]) == (200, 1, 1)
    assert found.champion["roc_auc"] == 0.5
    assert found.row("roc_auc").word is Word.BETTER
    short = scoring.judge(Answers((*labels, "Yes")), Answers(labels), heldout)
    assert isinstance(short, ScoringFailure)
