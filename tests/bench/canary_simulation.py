"""How often a canary is decided wrongly, how fast it is decided rightly, and how many users it costs.

    python -m tests.bench.canary_simulation              2,000 runs a case, some minutes
    python -m tests.bench.canary_simulation --runs 100   half a minute

Every run climbs 5, 25, 50 % with five minutes' hold, an hour's patience and ten minutes' watch, judged every few
seconds by the project's own e-values and levels. Beside it, over the same shares, a check a minute as Flagger makes
it (99 % of answers good, rolled back at 5 failed checks) and as an Argo Rollouts analysis does (failureLimit 0).
"""

from __future__ import annotations

import argparse
import math
import sys
import time
from collections.abc import Callable, Iterable, Iterator

from tests.bench.canary_world import ASKED, PROMOTED, ROLLED_BACK, Case, Outcome, play, thresholds

BOUND = 0.05


def slow_wave(t: float) -> float:
    """Up and down by 0.8 points within twenty minutes."""
    return 0.008 * (1 + math.sin(2 * math.pi * t / 1200)) / 2


def ramp(t: float) -> float:
    """A dependency that fails more and more: 3 points within an hour."""
    return 0.03 * min(t / 3600, 1.0)


def incidents(t: float) -> float:
    """Every ten minutes a dependency fails for two of them and takes a tenth of all answers with it."""
    return 0.1 if t % 600 < 120 else 0.0


def recovery(t: float) -> float:
    """The rollout began in an incident, and the champion's rate before it says too much."""
    return 0.05 if t < 400 else 0.0


def identical() -> Iterator[Case]:
    for worse, name in ((0.0, "identical"), (0.005, "worse by half of what is allowed")):
        for base in (0.0, 0.005, 0.02):
            for rps in (0.2, 2.0, 20.0):
                yield Case(name, base, worse, rps=rps, look=30.0 if rps < 1 else 10.0)


def drifting() -> Iterator[Case]:
    for drift in (slow_wave, ramp, incidents, recovery):
        for worse, word in ((0.0, "identical"), (0.005, "worse by half")):
            yield Case(f"{word}, {drift.__name__.replace('_', ' ')}", 0.002, worse, 20.0, drift, look=10.0)


def many_weights() -> Iterator[Case]:
    steps = (2, 5, 10, 20, 35, 50)
    for worse, word in ((0.0, "identical"), (0.005, "worse by half")):
        yield Case(f"{word}, six shares", 0.005, worse, 20.0, steps=steps, hold=120.0)
    yield Case("identical, six shares, slow wave", 0.005, 0.0, 20.0, slow_wave, steps=steps, hold=120.0)


def latency_within() -> Iterator[Case]:
    for slower, word in ((1.0, "as fast"), (1.125, "slower by half of what is allowed")):
        for rps in (2.0, 20.0):
            yield Case(word, 0.005, 0.0, rps, slower=slower)


def too_bad() -> Iterator[Case]:
    for worse, word in ((0.01, "worse by exactly what is allowed"), (0.02, "worse by twice that")):
        for base in (0.0, 0.005, 0.02):
            for rps in (0.2, 2.0, 20.0):
                yield Case(word, base, worse, rps, look=30.0 if rps < 1 else 10.0)
    for drift in (slow_wave, ramp, incidents, recovery):
        word = f"worse by exactly that, {drift.__name__.replace('_', ' ')}"
        yield Case(word, 0.002, 0.01, 20.0, drift)
    for slower, word in ((1.25, "slower by exactly what is allowed"), (1.5, "slower by twice that")):
        for rps in (2.0, 20.0):
            yield Case(word, 0.005, 0.0, rps, slower=slower)


def harmful() -> Iterator[Case]:
    for worse in (0.02, 0.05, 0.3):
        for rps in (0.2, 2.0, 20.0):
            yield Case(f"+{100 * worse:.0f} points", 0.005, worse, rps, look=1.0 if worse >= 0.3 else 5.0)
    live = "+30 points, one step of 25 %"
    yield Case(live, 0.0, 0.3, 40.0, steps=(25,), look=0.5)
    yield Case(live, 0.005, 0.3, 40.0, steps=(25,), look=0.5)
    for slower in (1.5, 3.0):
        yield Case(f"{slower:g} times slower", 0.005, 0.0, 20.0, slower=slower, look=1.0)
    yield Case("+30 points, only with all traffic", 0.005, 0.0, 20.0, look=1.0, worse_at_full=0.3)


def row_of_wrong_rollbacks(case: Case, own: Outcome, flagger: Outcome, argo: Outcome) -> tuple[str, float]:
    cells = (
        *_case(case),
        f"**{own.share(ROLLED_BACK):.2%}**",
        f"{own.share(PROMOTED):.1%}",
        f"{own.share(ASKED):.1%}",
        _minutes(own.median(PROMOTED, own.minutes)),
        f"{flagger.share(ROLLED_BACK):.1%}",
        f"{argo.share(ROLLED_BACK):.1%}",
    )
    return _row(cells), own.share(ROLLED_BACK)


def row_of_wrong_promotions(case: Case, own: Outcome, flagger: Outcome, argo: Outcome) -> tuple[str, float]:
    cells = (
        *_case(case),
        f"**{own.share(PROMOTED):.2%}**",
        f"{own.share(ROLLED_BACK):.1%}",
        f"{own.share(ASKED):.1%}",
        f"{flagger.share(PROMOTED):.1%}",
        f"{argo.share(PROMOTED):.1%}",
    )
    return _row(cells), own.share(PROMOTED)


def row_of_detection(case: Case, own: Outcome, flagger: Outcome, argo: Outcome) -> tuple[str, float]:
    cells = [*_case(case)]
    for outcome in (own, flagger, argo):
        took = _minutes(outcome.median(ROLLED_BACK, outcome.minutes))
        hit = outcome.median(ROLLED_BACK, outcome.bad_answers)
        cells += [f"{outcome.share(ROLLED_BACK):.1%}", took, "-" if math.isnan(hit) else f"{hit:.0f}"]
        if outcome is own:
            cells.append(f"{own.share(ASKED):.1%}")
    return _row(cells), 0.0


Row = Callable[[Case, Outcome, Outcome, Outcome], tuple[str, float]]
_WRONGLY_BACK = ("rolled back", "promoted", "asked", "median to promotion", "Flagger-style", "Argo-style")
_WRONGLY_ON = ("promoted", "rolled back", "asked", "Flagger-style promoted", "Argo-style promoted")
_THEIRS = ("Flagger-style", "median", "users hit", "Argo-style", "median", "users hit")
TABLES: tuple[tuple[str, tuple[str, ...], Row, Callable[[], Iterable[Case]]], ...] = (
    ("Wrong rollbacks", _WRONGLY_BACK, row_of_wrong_rollbacks, identical),
    ("Wrong rollbacks while the base rate drifts", _WRONGLY_BACK, row_of_wrong_rollbacks, drifting),
    ("Wrong rollbacks with many weights", _WRONGLY_BACK, row_of_wrong_rollbacks, many_weights),
    ("Wrong rollbacks for latency", _WRONGLY_BACK, row_of_wrong_rollbacks, latency_within),
    ("Wrong promotions", _WRONGLY_ON, row_of_wrong_promotions, too_bad),
    ("Detection", ("rolled back", "median", "users hit", "asked", *_THEIRS), row_of_detection, harmful),
)


def main(arguments: list[str]) -> int:
    """Print the tables; 1 where a share that must stay within 5 % does not, sampling noise allowed for."""
    parser = argparse.ArgumentParser(description="Simulate canaries and count the wrong decisions.")
    parser.add_argument("--runs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args(arguments)
    began, worst = time.perf_counter(), 0.0
    for title, columns, row, cases in TABLES:
        print(f"\n### {title} ({options.runs} runs a case)\n")
        print(_row(("candidate", "base", "req/s", *columns)))
        print(_row("---" for _ in range(3 + len(columns))))
        for number, case in enumerate(cases()):
            line, wrong = row(case, *outcomes(case, options.runs, options.seed + number))
            print(line, flush=True)
            worst = max(worst, wrong)
    print(f"\nLargest share of wrong decisions: {worst:.2%}. {time.perf_counter() - began:.0f} s.")
    return int(worst > tolerated(options.runs))


def outcomes(case: Case, runs: int, seed: int) -> tuple[Outcome, Outcome, Outcome]:
    flagger = thresholds(case, runs, seed, allowed_failures=4)
    return play(case, runs, seed), flagger, thresholds(case, runs, seed, allowed_failures=0)


def tolerated(runs: int) -> float:
    """5 % and three standard errors of a share that is truly 5 %."""
    return BOUND + 3 * math.sqrt(BOUND * (1 - BOUND) / runs)


def _case(case: Case) -> tuple[str, str, str]:
    return case.name, f"{100 * case.base_rate:g} %", f"{case.rps:g}"


def _minutes(minutes: float) -> str:
    if math.isnan(minutes):
        return "-"
    return f"{60 * minutes:.1f} s" if minutes < 2 else f"{minutes:.1f} min"


def _row(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
