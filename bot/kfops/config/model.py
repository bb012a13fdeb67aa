"""`kfops.yaml` as typed: both halves in one file."""

from __future__ import annotations

from kfops.config.rules import RulesHalf
from kfops.config.work import WorkHalf


class KfopsFile(RulesHalf, WorkHalf):
    """Kfops: one model, from a pull request to production."""


WORK_KEYS = tuple(WorkHalf.model_fields)
RULE_KEYS = tuple(RulesHalf.model_fields)
