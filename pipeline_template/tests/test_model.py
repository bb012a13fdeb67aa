import json
from pathlib import Path

import cloudpickle
import features
import pandas as pd
import pytest
from evaluation import scores
from sample import answered
from training import fit

from data import ROW, split

SAMPLE = Path(__file__).parents[1] / "samples" / "request.json"


@pytest.fixture(scope="module")
def parts(table):
    rows, held_out, _ = split(table, "churn")
    return rows.drop(columns=["churn", "customer_id"]), rows["churn"], held_out


@pytest.fixture(scope="module")
def fitted(parts):
    rows, labels, _ = parts
    return fit(rows, labels, metric="roc_auc", time_budget=0, max_iter=2, seed=7)


def test_a_short_search_already_beats_chance(fitted, parts):
    pipeline, learnt = fitted
    found = scores(pipeline, parts[2], parts[2]["churn"])
    assert found["roc_auc"] > 0.8
    assert set(found) == {"accuracy", "log_loss", "roc_auc", "f1"}
    assert learnt["learner"] == "lgbm"


def test_without_a_time_budget_the_same_search_ends_the_same(fitted, parts):
    rows, labels, held_out = parts
    again, _ = fit(rows, labels, metric="roc_auc", time_budget=0, max_iter=2, seed=7)
    assert scores(again, held_out, held_out["churn"]) == scores(fitted[0], held_out, held_out["churn"])


def test_the_sample_request_is_answered(fitted, parts):
    request = pd.DataFrame(json.loads(SAMPLE.read_text())["instances"])
    answers = fitted[0].predict(request[parts[0].columns])
    assert set(answers) <= {"Yes", "No"}


def test_a_category_never_seen_before_is_answered(fitted, parts):
    strange = parts[0].head(1).assign(payment_method="Barter")
    assert fitted[0].predict_proba(strange).shape == (1, 2)


def test_one_row_is_answered_as_in_company(fitted, parts):
    rows = parts[2].drop(columns=["churn", "customer_id", ROW]).head(20)
    alone = [fitted[0].predict_proba(rows.iloc[[place]])[0, 1] for place in range(len(rows))]
    assert alone == pytest.approx(list(fitted[0].predict_proba(rows)[:, 1]))


def test_the_model_travels_without_this_repository(fitted):
    cloudpickle.register_pickle_by_value(features)
    try:
        content = cloudpickle.dumps(fitted[0])
    finally:
        cloudpickle.unregister_pickle_by_value(features)
    assert b"cfeatures\n" not in content
    assert b"add_columns" in content


@pytest.mark.parametrize(
    ("change", "words"), [({"metric": "nope"}, "expected one of"), ({"max_iter": 0}, "never end")]
)
def test_a_search_that_cannot_be_made_is_refused(parts, change, words):
    settings = {"metric": "roc_auc", "time_budget": 0, "max_iter": 1, "seed": 7, **change}
    with pytest.raises(ValueError, match=words):
        fit(parts[0], parts[1], **settings)


def test_what_the_model_answers_to_the_sample_is_kept_and_a_sample_of_other_columns_is_not(fitted, capsys):
    kept = json.loads(answered(fitted[0], SAMPLE.read_text()))
    assert kept["instances"] == json.loads(SAMPLE.read_text())["instances"]
    assert set(kept["predictions"]) <= {"Yes", "No"}
    assert len(kept["predictions"]) == len(kept["probabilities"]) == 2
    other = json.loads(answered(fitted[0], '{"instances": [{"tenure": 1}]}'))
    assert "predictions" not in other
    assert "does not fit" in capsys.readouterr().out
