"""The judge of a canary: anytime-valid tests, and what they allow. See each module for formulas and sources."""

from __future__ import annotations

from kfops.rules.verdict.counting import absorb, add
from kfops.rules.verdict.evidence import judge, may_climb, reaches, total, verdict_of
from kfops.rules.verdict.paired import log_e_candidate_wrong, population_stability
from kfops.rules.verdict.share import log_e_mismatch, log_e_share
from kfops.rules.verdict.two_arms import log_e_above, log_e_slow_values, log_e_values

__all__ = [
    "absorb",
    "add",
    "judge",
    "log_e_above",
    "log_e_candidate_wrong",
    "log_e_mismatch",
    "log_e_share",
    "log_e_slow_values",
    "log_e_values",
    "may_climb",
    "population_stability",
    "reaches",
    "total",
    "verdict_of",
]
