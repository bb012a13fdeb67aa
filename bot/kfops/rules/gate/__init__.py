"""May this happen now? One pure function a command, each over facts that the workflows gather."""

from kfops.rules.gate.approval import why_not_approved
from kfops.rules.gate.commands import (
    again,
    canary,
    cancel,
    deploy,
    floor,
    lock,
    ok_to_test,
    read,
    rollback,
    run,
    staging_deploy,
    unlock,
)
from kfops.rules.gate.decision import Decision, Proceed, Reject
from kfops.rules.gate.facts import Approvals, Asker, DeployFacts, Live, Requirement

__all__ = [
    "Approvals",
    "Asker",
    "Decision",
    "DeployFacts",
    "Live",
    "Proceed",
    "Reject",
    "Requirement",
    "again",
    "canary",
    "cancel",
    "deploy",
    "floor",
    "lock",
    "ok_to_test",
    "read",
    "rollback",
    "run",
    "staging_deploy",
    "unlock",
    "why_not_approved",
]
