"""Gate expressions: grammar, carets, numbers."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfops.config.gate_expression import GateSyntaxError, parse_gate
from kfops.config.gate_result import evaluate

RUN = {"roc_auc": 0.86, "rmse": 2.0, "broken": float("nan")}
CHAMPION = {"roc_auc": 0.85, "rmse": 2.1}

VERDICTS = {
    "number": ("roc_auc >= 0.80", True),
    "not reached": ("roc_auc >= 0.90", False),
    "equal is enough": ("roc_auc >= 0.86", True),
    "equal is not more": ("roc_auc > 0.86", False),
    "smaller is better": ("rmse <= champion", True),
    "smaller": ("rmse < 2", False),
    "equality": ("rmse == 2", True),
    "champion with a margin": ("roc_auc >= champion - 0.005", True),
    "champion of another metric": ("roc_auc >= champion.rmse", False),
    "champion by name": ("roc_auc >= champion.roc_auc * 0.99", True),
    "products before sums": ("rmse == 1 + 2 * 3 - 5", True),
    "parentheses": ("rmse == (1 + 3) * 3 / 6", True),
    "left to right": ("rmse == 8 / 2 / 2", True),
    "sign": ("rmse >= -3 - -1", True),
    "other metrics of the run": ("rmse <= roc_auc * 3", True),
    "no blanks": ("rmse<=champion+.1e1", True),
    "metric that was not measured": ("f1 >= 0.1", False),
    "metric that is not finite": ("broken >= 0.1", False),
    "bound that was not measured": ("roc_auc >= champion.f1", False),
    "division by zero": ("rmse >= 1 / (1 - 1)", False),
}


@pytest.mark.parametrize(("text", "passed"), VERDICTS.values(), ids=VERDICTS)
def test_verdicts(text, passed):
    result = evaluate(parse_gate(text), RUN, CHAMPION)
    assert result.passed is passed
    assert result.holds is passed
    assert text in result.text


def test_text_has_the_numbers():
    gate = parse_gate("roc_auc >= champion + 0.02")
    result = evaluate(gate, RUN, CHAMPION)
    assert result.text == "roc_auc >= champion + 0.02: roc_auc 0.86 >= 0.87 does not hold"
    assert (result.value, result.bound) == (0.86, pytest.approx(0.87))
    assert "the champion has no metric f1" in evaluate(parse_gate("rmse < champion.f1"), RUN, CHAMPION).text


def test_without_a_champion_its_gates_do_not_apply():
    result = evaluate(parse_gate("roc_auc >= champion"), RUN, None)
    assert result.passed is None
    assert result.holds
    assert evaluate(parse_gate("roc_auc >= 0.9"), RUN, None).passed is False


def test_last_bit_of_a_sum_refuses_nobody():
    assert 0.3 < 0.1 + 0.2
    assert evaluate(parse_gate("a >= 0.1 + 0.2"), {"a": 0.3}, None).passed
    assert not evaluate(parse_gate("a > 0.1 + 0.2"), {"a": 0.30000000000000004}, None).passed


def test_which_metrics_a_gate_reads():
    gate = parse_gate("a >= champion.b + c * champion")
    assert gate.needs_champion
    assert gate.metrics == {"a", "c"}


BROKEN = {
    "empty": ("", 0, "the name of a metric"),
    "number first": ("0.8 <= auc", 0, "the name of a metric"),
    "champion first": ("champion <= auc", 0, "the name of a metric"),
    "no comparison": ("auc", 3, "one of >="),
    "assignment": ("auc = 1", 4, "one of >="),
    "no bound": ("auc >= ", 7, "a number, a metric or champion"),
    "two signs": ("auc >= 1 + * 2", 11, "a number"),
    "chain": ("0 < auc", 0, "the name"),
    "two comparisons": ("auc >= 1 >= 0", 9, "the end"),
    "call": ("auc >= abs(1)", 10, "the end"),
    "attribute": ("auc >= champion.", 16, "a metric of the champion"),
    "attribute of a metric": ("auc >= f1.x", 9, "the end"),
    "open parenthesis": ("auc >= (1", 9, "a closing parenthesis"),
    "unknown letter": ("auc >= 1 % 2", 9, "the end"),
    "misspelt champion": ("auc >= champoin", 7, "did you mean champion?"),
    "too deep": ("a >= " + "(" * 40, 26, "at most 20 levels"),
    "too long": ("a >= " + "1" * 300, 200, "at most 200"),
}


@pytest.mark.parametrize(("text", "at", "expected"), BROKEN.values(), ids=BROKEN)
def test_syntax_errors_point(text, at, expected):
    with pytest.raises(GateSyntaxError) as caught:
        parse_gate(text)
    assert caught.value.at == at
    assert expected in caught.value.expected
    assert caught.value.pointed().splitlines()[-1] == " " * at + "^"


@given(st.text(alphabet="ab1.+-*/()<>= champion", max_size=60))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_gate_or_a_syntax_error(text):
    try:
        gate = parse_gate(text)
    except GateSyntaxError:
        return
    assert evaluate(gate, {"a": 1.0, "b": 0.0}, {"a": 1e308}).text
