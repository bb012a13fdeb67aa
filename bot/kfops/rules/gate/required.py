"""What the environment's `requires` asks for, but for what `--force` names (R6, R8b, R13, R16, R19)."""

from __future__ import annotations

from collections.abc import Iterator

from kfops.domain.pull_request import Actor, CheckState
from kfops.rules.gate.approval import why_not_approved
from kfops.rules.gate.decision import Reject
from kfops.rules.gate.facts import DeployFacts, Live, Requirement
from kfops.rules.reasons import ReasonCode


def up_to_date(live: Live, facts: DeployFacts) -> Iterator[Reject]:
    pull = live.pull_request
    if _wants(facts, Requirement.UP_TO_DATE) and facts.is_up_to_date is not True:
        yield Reject(
            ReasonCode.OUT_OF_DATE,
            f"The head lacks commits of `{pull.base_ref}`.",
            "unknown" if facts.is_up_to_date is None else "behind",
            "up to date",
            f"Merge `{pull.base_ref}` into `{pull.head_ref}`, then `/build_run`.",
        )


def checked(facts: DeployFacts) -> Iterator[Reject]:
    """R16: unknown is no."""
    if not _wants(facts, Requirement.CHECKS):
        return
    if facts.checks is None:
        yield Reject(
            ReasonCode.CHECKS_NOT_GREEN,
            "The required checks could not be read.",
            "unknown",
            "success",
            "Try again in a minute.",
        )
    for check in facts.checks or ():
        if check.state is not CheckState.SUCCESS:
            yield Reject(
                ReasonCode.CHECKS_NOT_GREEN,
                f"The required check `{check.name}` is not green.",
                check.state.value,
                CheckState.SUCCESS.value,
                "Wait for it, or push a commit that mends it.",
            )


def approved(live: Live, facts: DeployFacts, asker: Actor) -> Iterator[Reject]:
    """R6, R8b."""
    by_another = Requirement.OTHER_APPROVAL in facts.requires
    if "approval" in facts.forced or not (by_another or Requirement.APPROVAL in facts.requires):
        return
    reason = why_not_approved(live.pull_request, facts.approvals, asker if by_another else None)
    if reason:
        others = "its author, its last pusher and the one who asks" if by_another else ""
        yield Reject(
            ReasonCode.NOT_APPROVED,
            "No approval of this commit counts.",
            reason,
            "an approval of this commit by somebody who may write, other than "
            + (others or "its author and its last pusher"),
            "Ask a colleague for a review of this commit.",
        )


def in_staging(facts: DeployFacts) -> Iterator[Reject]:
    """R13: the same digest goes from staging to production."""
    if _wants(facts, Requirement.STAGING) and facts.staging_digest != facts.model_digest:
        yield Reject(
            ReasonCode.NOT_IN_STAGING,
            f"This model does not serve in `{facts.staging_name}`.",
            (facts.staging_digest or "nothing")[:12],
            (facts.model_digest or "")[:12],
            f"`/{facts.staging_name}_deploy`",
        )


def _wants(facts: DeployFacts, requirement: Requirement) -> bool:
    return requirement in facts.requires and requirement.value not in facts.forced
