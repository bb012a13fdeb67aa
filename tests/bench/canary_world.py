"""Many simulated canaries at once: the ladder's rules on arrays, with the project's own e-values and levels.

`tests/unit/test_rollout_simulation.py` holds this ladder against the real state machine, run by run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from scipy.stats import norm

from kfops.rules.verdict import evidence
from kfops.rules.verdict.likelihood import Arms
from kfops.rules.verdict.share import log_e_mismatch, log_e_share
from kfops.rules.verdict.two_arms import log_e_slow_values, log_e_values

UNDER_WAY, PROMOTED, ROLLED_BACK, ASKED = 0, 1, 2, 3
# Doubtful watches after which a person is asked, as in `rules.rollout.split`.
WATCHES = 2


def steady(_t: float) -> float:
    return 0.0


@dataclass(frozen=True)
class Case:
    """A candidate's truth, and the plan it is tried with. Times in seconds, rates as probabilities.

    `drift(t)` is added to both arms' `base_rate`; `slower` is the candidate's latency as a multiple of the
    champion's, of which `sigma` is the log-normal width; `worse_at_full` comes in only when it has all traffic.
    """

    name: str = ""
    base_rate: float = 0.005
    worse: float = 0.0
    rps: float = 20.0
    drift: Callable[[float], float] = steady
    slower: float | None = None
    sigma: float = 0.5
    steps: tuple[int, ...] = (5, 25, 50)
    hold: float = 300.0
    patience: float = 3600.0
    watch: float = 600.0
    min_requests: int = 400
    margin: float = 0.01
    ratio: float = 1.25
    before: float = 600.0
    look: float = 10.0
    worse_at_full: float = 0.0

    def rate(self, t: float) -> float:
        return min(self.base_rate + self.drift(t), 1.0)


@dataclass
class Outcome:
    state: Any
    minutes: Any
    bad_answers: Any
    stopped_climbing: Any

    def share(self, state: int) -> float:
        return float(np.mean(self.state == state))

    def median(self, state: int, what: Any) -> float:
        chosen = what[self.state == state]
        return float(np.median(chosen)) if len(chosen) else float("nan")


@dataclass
class Sums:
    """Per run: requests, errors, timed and slow answers of both arms."""

    n_c: Any
    k_c: Any
    n_s: Any
    k_s: Any
    slow_c: Any
    slow_s: Any

    @staticmethod
    def zeros(runs: int) -> Sums:
        return Sums(*(np.zeros(runs) for _ in range(6)))

    def add(self, i: Any, other: Sums) -> None:
        for name in vars(self):
            getattr(self, name)[i] += getattr(other, name)

    def at(self, i: Any) -> Sums:
        return Sums(*(values[i] for values in vars(self).values()))

    def clear(self, i: Any) -> None:
        for values in vars(self).values():
            values[i] = 0


@dataclass
class Ladder:
    """The state of all runs. `earlier` sums closed steps, `now` the present one; `closed` their log e-values."""

    case: Case
    runs: int
    rng: np.random.Generator
    earlier: Sums = field(init=False)
    now: Sums = field(init=False)

    def __post_init__(self) -> None:
        runs, case = self.runs, self.case
        self.earlier, self.now = Sums.zeros(runs), Sums.zeros(runs)
        self.closed = {name: np.zeros(runs) for name in ("bad", "good", "slow_bad", "slow_good", "share")}
        self.fresh, self.watches = np.zeros(runs), np.zeros(runs, dtype=int)
        self.step, self.began = np.zeros(runs, dtype=int), np.zeros(runs)
        self.before_n = self.rng.poisson(case.rps * case.before, runs)
        self.before_k = self.rng.binomial(self.before_n, case.rate(0.0))
        # T is an estimate: its true share of slow champion answers wavers about one in twenty.
        self.slow_s = self.rng.beta(15.0, 285.0, runs)
        self.last_s = (np.zeros(runs), np.zeros(runs))

    def requests(self, i: Any, t: float) -> Sums:
        case = self.case
        n = self.rng.poisson(case.rps * case.look, len(i))
        watched = self.step[i] == len(case.steps)
        weight = np.where(watched, 1.0, np.array([*case.steps, 100])[self.step[i]] / 100)
        n_c = self.rng.binomial(n, weight)
        base = case.rate(t)
        worse = np.where(watched, case.worse_at_full, 0.0) + case.worse
        k_c = self.rng.binomial(n_c, np.minimum(base + worse, 1.0))
        k_s = self.rng.binomial(n - n_c, base)
        if case.slower is None:
            return Sums(n_c, k_c, n - n_c, k_s, np.zeros(len(i)), np.zeros(len(i)))
        # slow_s = P(champion > T), so T is that quantile; the candidate's bound is ratio·T.
        bound = norm.isf(self.slow_s[i]) + np.log(case.ratio / case.slower) / case.sigma
        slow_c, slow_s = self.rng.binomial(n_c, norm.sf(bound)), self.rng.binomial(n - n_c, self.slow_s[i])
        return Sums(n_c, k_c, n - n_c, k_s, slow_c, slow_s)

    def factors(self, i: Any) -> dict[str, Any]:
        """The present step's log e-values, as `rules.verdict.judge` makes them."""
        a, e = self.now.at(i), self.earlier.at(i)
        beliefs = evidence.error_beliefs(e.k_c, e.n_c, e.k_s + self.before_k[i], e.n_s + self.before_n[i])
        bad, good = log_e_values(Arms(a.k_c, a.n_c, a.k_s, a.n_s), self.case.margin, beliefs)
        share = np.array([*self.case.steps, 99])[self.step[i]] / 100
        found = {"bad": bad, "good": good, "share": log_e_share(a.k_c, a.k_c + a.k_s, share)}
        found["mismatch"] = log_e_mismatch(a.n_c, a.n_s, share)
        if self.case.slower is not None:
            beliefs = evidence.slow_beliefs(e.slow_c, e.n_c, e.n_s + self.before_n[i])
            arms = Arms(a.slow_c, a.n_c, a.slow_s, a.n_s)
            found["slow_bad"], found["slow_good"] = log_e_slow_values(arms, evidence.RARELY_SLOW, beliefs)
        return found

    def watch_factor(self, i: Any) -> Any:
        a = self.now.at(i)
        arms = Arms(a.k_c, a.n_c, self.last_s[0][i], self.last_s[1][i])
        return log_e_values(arms, self.case.margin)[0]

    def close(self, i: Any, found: dict[str, Any], t: float) -> None:
        for name, values in self.closed.items():
            values[i] += found.get(name, 0.0)
        self.fresh[i] += found["bad"]
        self.last_s[0][i], self.last_s[1][i] = self.now.k_s[i], self.now.n_s[i]
        self.earlier.add(i, self.now.at(i))
        self.now.clear(i)
        self.step[i] += 1
        self.began[i] = t

    def split_again(self, i: Any, t: float) -> None:
        """Out of a doubtful watch, back to the last share; the fresh test starts anew."""
        self.earlier.add(i, self.now.at(i))
        self.now.clear(i)
        self.step[i] -= 1
        self.began[i] = t
        self.fresh[i] = 0.0
        self.watches[i] += 1


Tape = Callable[[Any, float, Sums], None]


def untaped(_runs: Any, _t: float, _new: Sums) -> None:
    return


def play(case: Case, runs: int, seed: int, tape: Tape = untaped) -> Outcome:
    """Every run to its end: promoted and watched, rolled back, or a person asked. `tape` hears every request."""
    world = Ladder(case, runs, np.random.default_rng(seed))
    state, ended = np.zeros(runs, dtype=int), np.zeros(runs)
    promoted_at, bad_answers = np.full(runs, np.nan), np.zeros(runs)
    stopped = np.zeros(runs, dtype=bool)
    t = 0.0
    while len(i := np.flatnonzero(state == UNDER_WAY)):
        new = world.requests(i, t)
        t += case.look
        tape(i, t, new)
        world.now.add(i, new)
        bad_answers[i] += new.k_c + new.slow_c
        is_watched = world.step[i] == len(case.steps)
        for chosen, judged in ((i[~is_watched], _climb), (i[is_watched], _watch)):
            if len(chosen):
                state[chosen] = judged(world, chosen, t, stopped, promoted_at)
        ended[i[state[i] != UNDER_WAY]] = t
    minutes = np.where(state == PROMOTED, promoted_at, ended) / 60
    return Outcome(state, minutes, bad_answers, stopped)


def _watch(world: Ladder, i: Any, t: float, _stopped: Any, _promoted_at: Any) -> Any:
    in_doubt = world.watch_factor(i) >= evidence.DOUBT_IN_WATCH
    is_over = ~in_doubt & (t - world.began[i] >= world.case.watch)
    world.split_again(i[in_doubt], t)
    return np.where(is_over, PROMOTED, UNDER_WAY)


def _climb(world: Ladder, i: Any, t: float, stopped: Any, promoted_at: Any) -> Any:
    case, found = world.case, world.factors(i)
    whole = {name: values[i] + found.get(name, 0.0) for name, values in world.closed.items()}
    fits = found["mismatch"] < evidence.MISMATCH_AT
    watches = world.watches[i]
    levels = np.array([np.inf, *(evidence.after_watch_level(n) for n in range(1, 10))])
    is_bad = fits & (
        (whole["bad"] >= evidence.ROLL_BACK_ON_ERRORS)
        | (world.fresh[i] + found["bad"] >= levels[watches])
        | (whole["slow_bad"] >= evidence.ROLL_BACK_ON_SLOW)
    )
    n_c = world.earlier.n_c[i] + world.now.n_c[i]
    is_good = fits & (whole["good"] >= evidence.PROMOTE_AT) & (n_c >= case.min_requests)
    if case.slower is not None:
        is_good &= whole["slow_good"] >= evidence.PROMOTE_AT
    held = t - world.began[i]
    is_last = world.step[i] == len(case.steps) - 1
    may_climb = whole["share"] < evidence.STOP_CLIMBING_AT
    over = ~is_bad & (held >= case.hold)
    promotes = over & is_last & is_good & (watches < WATCHES)
    climbs = over & ~is_last & may_climb & fits & (world.now.n_c[i] > 0)
    stopped[i] |= over & ~is_last & ~may_climb
    asks = over & ~promotes & ~climbs & ((held >= case.patience) | (is_last & is_good))
    moves = promotes | climbs
    promoted_at[i[promotes & np.isnan(promoted_at[i])]] = t
    world.close(i[moves], {name: values[moves] for name, values in found.items()}, t)
    return np.where(is_bad, ROLLED_BACK, np.where(asks, ASKED, UNDER_WAY))


def thresholds(case: Case, runs: int, seed: int, *, allowed_failures: int, checks: int = 30) -> Outcome:
    """A check a minute, 99 % of the candidate's answers good, over the same shares; no answer is a failed check.

    Rolled back when more than `allowed_failures` have failed, promoted after `checks` of them: the logic of Flagger's
    `threshold` (rolled back at 5) and of an Argo Rollouts analysis with `failureLimit: 0`.
    """
    rng = np.random.default_rng(seed)
    state, ended = np.zeros(runs, dtype=int), np.zeros(runs)
    failed, bad_answers = np.zeros(runs), np.zeros(runs)
    for check in range(checks):
        weight = case.steps[min(check * len(case.steps) // checks, len(case.steps) - 1)] / 100
        base = case.rate(60.0 * check)
        n = rng.poisson(case.rps * 60 * weight, runs)
        k = rng.binomial(n, min(base + case.worse, 1.0))
        running = state == UNDER_WAY
        bad_answers += k * running
        failed += (n == 0) | (k > 0.01 * n)
        over = running & (failed > allowed_failures)
        state[over], ended[over] = ROLLED_BACK, 60.0 * (check + 1)
    ended[state == UNDER_WAY] = 60.0 * checks
    state[state == UNDER_WAY] = PROMOTED
    return Outcome(state, ended / 60, bad_answers, np.zeros(runs, dtype=bool))
