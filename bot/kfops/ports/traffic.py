"""What the bot needs to know about users' requests, per arm. Its own requests (`Serving.ask`) are not among them."""

from __future__ import annotations

from typing import Protocol

from kfops.domain.canary_facts import Counts, Standstill, Unknown
from kfops.domain.environment import EnvironmentKey
from kfops.domain.rollout import Counting


class Traffic(Protocol):
    """Neither method raises: what cannot be had is `Unknown` with the reason."""

    def counts(self, environment: EnvironmentKey, counting: Counting) -> Counts | Unknown:
        """Requests that began since `counting.since`, of the present candidate and the present stable revision.

        Cumulative: asked again with the same `counting`, no number falls unless `epoch` changes with it.
        """
        ...

    def standstill(self, environment: EnvironmentKey) -> Standstill | Unknown:
        """The newest candidate's own counter, also after its weight has gone to 0 and when it has been taken away."""
        ...
