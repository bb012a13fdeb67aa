"""The metrics, against scikit-learn's, and the bootstrap's properties."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn import metrics as sk

from kfops.adapters.local.scoring.inside.metrics import classification, draws, regression
from kfops.adapters.local.scoring.reading import comparison
from kfops.domain.evidence import Comparison, ScoringFailure, Word

ONCE = np.ones((1, 300))
RANDOM = np.random.default_rng(5)


def labels(classes):
    truth = RANDOM.integers(0, classes, 300)
    chances = RANDOM.random((300, classes)).round(2) + 0.01
    chances[np.arange(300), truth] += 0.4
    chances /= chances.sum(axis=1, keepdims=True)
    return truth, chances.argmax(axis=1), chances


def values(found, weights=ONCE):
    return {name: float(metric(weights)[0]) for name, metric in found.items()}


def test_two_classes_as_scikit_learn_has_them():
    truth, guess, chances = labels(2)
    assert values(classification(truth, guess, chances, ["No", "Yes"])) == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(truth, chances[:, 1]),
            "accuracy": sk.accuracy_score(truth, guess),
            "f1": sk.f1_score(truth, guess),
            "log_loss": sk.log_loss(truth, chances),
        }
    )


def test_three_classes_as_scikit_learn_has_them():
    truth, guess, chances = labels(3)
    assert values(classification(truth, guess, chances, list("abc"))) == pytest.approx(
        {
            "roc_auc": sk.roc_auc_score(truth, chances, multi_class="ovr"),
            "accuracy": sk.accuracy_score(truth, guess),
            "f1": sk.f1_score(truth, guess, average="macro"),
            "log_loss": sk.log_loss(truth, chances),
        }
    )


def test_numbers_as_scikit_learn_has_them():
    truth = RANDOM.normal(5, 1, 300)
    guess = truth + RANDOM.normal(0, 0.3, 300)
    assert values(regression(truth, guess)) == pytest.approx(
        {
            "r2": sk.r2_score(truth, guess),
            "mae": sk.mean_absolute_error(truth, guess),
            "rmse": sk.root_mean_squared_error(truth, guess),
            "mape": sk.mean_absolute_percentage_error(truth, guess),
        }
    )


def test_weights_are_rows_drawn_again():
    truth, guess, chances = labels(2)
    weights = draws(300, 1, seed=3)
    again = np.repeat(np.arange(300), weights[0].astype(int))
    drawn = values(classification(truth, guess, chances, ["No", "Yes"]), weights)
    assert drawn["roc_auc"] == pytest.approx(sk.roc_auc_score(truth[again], chances[again, 1]))
    assert drawn["log_loss"] == pytest.approx(sk.log_loss(truth[again], chances[again]))


def test_ties_count_half_and_one_class_alone_has_no_curve():
    truth = np.array([0, 1, 0, 1])
    flat = np.full((4, 2), 0.5)
    assert values(classification(truth, truth, flat, [0, 1]), np.ones((1, 4)))["roc_auc"] == 0.5
    assert np.isnan(values(classification(np.zeros(4, int), truth, flat, [0, 1]), np.ones((1, 4)))["roc_auc"])


@pytest.mark.parametrize("block", [1, 7])
def test_every_sample_has_as_many_rows(block):
    weights = draws(100, 50, seed=1, block=block)
    assert (weights.sum(axis=1) == 100).all()
    assert (draws(100, 50, seed=1, block=block) == weights).all()


def answer(**changes):
    row = {
        "name": "log_loss",
        "challenger": 0.4,
        "champion": 0.5,
        "low": -0.2,
        "high": -0.1,
        "lower_is_better": True,
    }
    return {"heldout_rows": 10, "overlap": 0, "warnings": [], "rows": [row | changes]}


@pytest.mark.parametrize(
    ("changes", "word"),
    [
        ({}, Word.BETTER),
        ({"lower_is_better": False}, Word.WORSE),
        ({"low": -0.2, "high": 0.1}, Word.WITHIN_NOISE),
        ({"low": 0.0, "high": 0.1}, Word.WITHIN_NOISE),
        ({"low": 0.1, "high": 0.2}, Word.WORSE),
        ({"low": None, "high": None}, Word.NOT_COMPARABLE),
        ({"champion": None}, Word.NOT_COMPARABLE),
    ],
)
def test_the_word_follows_the_interval_and_the_metrics_direction(changes, word):
    found = comparison(answer(**changes), 1, has_champion=True, trouble="")
    assert found.rows[0].word is word


def test_a_champion_that_knew_the_rows_gates_nobody():
    found = comparison(answer() | {"overlap": 7}, 5, has_champion=True, trouble="")
    assert isinstance(found, Comparison)
    assert found.reason == "production was trained on 7 of these rows"
    assert (found.rows[0].word, found.champion, found.challenger) == (
        Word.NOT_COMPARABLE,
        {},
        {"log_loss": 0.4},
    )
    assert found.level == pytest.approx(0.99)


def test_without_a_metric_there_is_no_comparison():
    assert isinstance(comparison(answer() | {"rows": []}, 1, has_champion=False, trouble=""), ScoringFailure)
