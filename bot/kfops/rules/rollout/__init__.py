"""The canary's state machine: what may follow what (`table`), what to do and when (`advance`, `wish`)."""

from __future__ import annotations

from kfops.rules.rollout.advance import advance, start
from kfops.rules.rollout.table import LEGAL
from kfops.rules.rollout.wish import counting, look_again, needs, wish

__all__ = ["LEGAL", "advance", "counting", "look_again", "needs", "start", "wish"]
