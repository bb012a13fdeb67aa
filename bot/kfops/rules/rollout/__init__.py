"""The canary's state machine: what may follow what (`table`), what to do and when (`advance`, `wish`)."""

from __future__ import annotations

from kfops.rules.rollout.advance import advance, start
from kfops.rules.rollout.back import stopped
from kfops.rules.rollout.table import LEGAL
from kfops.rules.rollout.wish import counting, look_again, needs, wish
from kfops.rules.rollout.words import e_value, evidence_numbers, evidence_sentence

__all__ = [
    "LEGAL",
    "advance",
    "counting",
    "e_value",
    "evidence_numbers",
    "evidence_sentence",
    "look_again",
    "needs",
    "start",
    "stopped",
    "wish",
]
