"""`evidence.gates`: what a run's metrics must show, as one comparison. A parser of its own; nothing is evaluated.

gate       = metric comparator sum
comparator = ">=" | ">" | "<=" | "<" | "=="
sum        = product (("+" | "-") product)*
product    = factor (("*" | "/") factor)*
factor     = "-" factor | number | champion | metric | "(" sum ")"
champion   = "champion" ("." metric)?          without a name: the metric on the left
metric     = a letter or "_", then letters, digits and "_"
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from kfops.command.nearness import distance

LONGEST = 200
_DEEPEST = 20
_TYPO = 2
CHAMPION = "champion"
_TOKEN = re.compile(
    r"\s*(?:(?P<number>(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][-+]?[0-9]{1,2})?)"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<sign>>=|<=|==|[><+\-*/().]))",
    re.ASCII,
)

Comparator = Literal[">=", ">", "<=", "<", "=="]
_COMPARATORS: dict[str, Comparator] = {">=": ">=", ">": ">", "<=": "<=", "<": "<", "==": "=="}


class GateSyntaxError(ValueError):
    """`at` is the offset in `text`, from 0."""

    def __init__(self, text: str, at: int, expected: str) -> None:
        found = text[at : at + 20] or "the end"
        super().__init__(f"found {found!r}, expected {expected}")
        self.text = text
        self.at = at
        self.found = found
        self.expected = expected

    def pointed(self) -> str:
        """The expression with a caret under what is wrong: two lines for a fixed-width font."""
        return f"{self.text}\n{' ' * self.at}^"


@dataclass(frozen=True)
class Number:
    value: float


@dataclass(frozen=True)
class Metric:
    """A metric of the run, or of the champion."""

    name: str
    of_champion: bool = False


@dataclass(frozen=True)
class Negative:
    operand: Sum


@dataclass(frozen=True)
class Operation:
    sign: str
    left: Sum
    right: Sum


Sum = Number | Metric | Negative | Operation


@dataclass(frozen=True)
class Gate:
    """One gate as parsed; `text` is how it was written."""

    text: str
    metric: str
    comparator: Comparator
    bound: Sum

    @property
    def needs_champion(self) -> bool:
        return any(metric.of_champion for metric in metrics_in(self.bound))

    @property
    def metrics(self) -> frozenset[str]:
        """Every metric that the run itself must have measured."""
        return frozenset({self.metric, *(one.name for one in metrics_in(self.bound) if not one.of_champion)})


def metrics_in(expression: Sum) -> tuple[Metric, ...]:
    match expression:
        case Number():
            return ()
        case Metric():
            return (expression,)
        case Negative(operand):
            return metrics_in(operand)
        case Operation(_, left, right):
            return metrics_in(left) + metrics_in(right)


def parse_gate(text: str) -> Gate:
    """Raises GateSyntaxError."""
    if len(text) > LONGEST:
        raise GateSyntaxError(text, LONGEST, f"at most {LONGEST} characters")
    reader = _Reader(text)
    metric = reader.metric("the name of a metric")
    sign = reader.sign(tuple(_COMPARATORS), "one of >= > <= < ==")
    bound = reader.sum(metric, 0)
    reader.end()
    return Gate(text, metric, _COMPARATORS[sign], bound)


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0

    def _next(self) -> tuple[str, str, int, int]:
        """(kind, text, start, end) of the token here; the kind is empty where none begins."""
        token = _TOKEN.match(self._text, self._at)
        if token is None or token.lastgroup is None:
            blank = len(self._text) - len(self._text[self._at :].lstrip())
            return "", "", blank, blank
        return token.lastgroup, token[token.lastgroup], token.start(token.lastgroup), token.end()

    def _fail(self, expected: str) -> GateSyntaxError:
        return GateSyntaxError(self._text, self._next()[2], expected)

    def metric(self, expected: str) -> str:
        kind, name, _, end = self._next()
        if kind != "name" or name == CHAMPION:
            raise self._fail(expected)
        if name != CHAMPION and distance(name.lower(), CHAMPION) <= _TYPO:
            raise self._fail(f"{expected}; did you mean {CHAMPION}?")
        self._at = end
        return name

    def sign(self, signs: tuple[str, ...], expected: str) -> str:
        _, sign, _, end = self._next()
        if sign not in signs:
            raise self._fail(expected)
        self._at = end
        return sign

    def _has(self, *signs: str) -> str | None:
        _, sign, _, end = self._next()
        if not sign or sign not in signs:
            return None
        self._at = end
        return sign

    def end(self) -> None:
        if self._text[self._at :].strip():
            raise self._fail("the end, or one of + - * /")

    def sum(self, metric: str, depth: int) -> Sum:
        left = self._product(metric, depth)
        while sign := self._has("+", "-"):
            left = Operation(sign, left, self._product(metric, depth))
        return left

    def _product(self, metric: str, depth: int) -> Sum:
        left = self._factor(metric, depth)
        while sign := self._has("*", "/"):
            left = Operation(sign, left, self._factor(metric, depth))
        return left

    def _factor(self, metric: str, depth: int) -> Sum:
        if depth > _DEEPEST:
            raise self._fail(f"at most {_DEEPEST} levels of parentheses and signs")
        if self._has("-"):
            return Negative(self._factor(metric, depth + 1))
        if self._has("("):
            inner = self.sum(metric, depth + 1)
            self.sign((")",), "a closing parenthesis")
            return inner
        kind, text, _, end = self._next()
        if kind == "number":
            self._at = end
            return Number(float(text))
        if kind == "name" and text == CHAMPION:
            self._at = end
            name = self.metric("the name of a metric of the champion") if self._has(".") else metric
            return Metric(name, of_champion=True)
        return Metric(self.metric("a number, a metric or champion"))
