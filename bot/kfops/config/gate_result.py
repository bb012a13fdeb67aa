"""Whether a run's metrics pass a gate, with the numbers in the sentence. What was not measured does not pass."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import assert_never

from kfops.config.gate_expression import Gate, Metric, Negative, Number, Operation, Sum


@dataclass(frozen=True)
class GateResult:
    """`passed` None: not applicable, because no champion serves yet; that holds nobody back."""

    gate: str
    passed: bool | None
    text: str
    value: float | None = None
    bound: float | None = None

    @property
    def holds(self) -> bool:
        return self.passed is not False


class _NotMeasured(Exception):  # noqa: N818 - a value that is not there, told in the result's text
    pass


def evaluate(gate: Gate, metrics: Mapping[str, float], champion: Mapping[str, float] | None) -> GateResult:
    """Never raises. `champion`: the metrics of what serves in production, on the same rows; None: nothing serves."""
    if champion is None and gate.needs_champion:
        return GateResult(gate.text, None, f"{gate.text}: not applicable, no champion serves yet")
    try:
        value = _measured(metrics, gate.metric, "this run")
        bound = _calculate(gate.bound, metrics, champion or {})
    except _NotMeasured as wrong:
        return GateResult(gate.text, passed=False, text=f"{gate.text}: {wrong}")
    passed = _compare(gate, value, bound)
    verb = "holds" if passed else "does not hold"
    numbers = f"{gate.metric} {_short(value)} {gate.comparator} {_short(bound)}"
    return GateResult(gate.text, passed, f"{gate.text}: {numbers} {verb}", value, bound)


def _compare(gate: Gate, value: float, bound: float) -> bool:
    """Sums of decimals miss by their last bit: 0.87 − 0.005 is not quite 0.865. Nobody is refused for that."""
    if math.isclose(value, bound, rel_tol=1e-12, abs_tol=1e-12):
        value = bound
    match gate.comparator:
        case ">=":
            return value >= bound
        case ">":
            return value > bound
        case "<=":
            return value <= bound
        case "<":
            return value < bound
        case "==":
            return value == bound
        case _:
            assert_never(gate.comparator)


def _calculate(expression: Sum, metrics: Mapping[str, float], champion: Mapping[str, float]) -> float:
    match expression:
        case Number(value):
            return value
        case Metric(name, of_champion):
            whose = "the champion" if of_champion else "this run"
            return _measured(champion if of_champion else metrics, name, whose)
        case Negative(operand):
            return -_calculate(operand, metrics, champion)
        case Operation(sign, left, right):
            return _operate(sign, _calculate(left, metrics, champion), _calculate(right, metrics, champion))


def _operate(sign: str, left: float, right: float) -> float:
    if sign == "/" and right == 0:
        raise _NotMeasured("division by zero")
    match sign:
        case "+":
            result = left + right
        case "-":
            result = left - right
        case "*":
            result = left * right
        case _:
            result = left / right
    if not math.isfinite(result):
        raise _NotMeasured("the bound is not a finite number")
    return result


def _measured(metrics: Mapping[str, float], name: str, whose: str) -> float:
    value = metrics.get(name)
    if value is None:
        raise _NotMeasured(f"{whose} has no metric {name}")
    if not math.isfinite(value):
        raise _NotMeasured(f"{name} of {whose} is {value}, not a finite number")
    return float(value)


def _short(number: float) -> str:
    return f"{number:.6g}"
