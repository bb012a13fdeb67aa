"""Why an operation ended as it did: stable codes for the reply's footer, the log, the metric and the exit code."""

from __future__ import annotations

from enum import StrEnum


class ReasonCode(StrEnum):
    DONE = "done"
    # who
    NOT_HUMAN = "not_human"
    PERMISSION_DENIED = "permission_denied"
    PERMISSION_UNKNOWN = "permission_unknown"
    # what was asked
    MISTYPED = "mistyped"
    COMMENT_CHANGED = "comment_changed"
    NEEDS_SHA = "needs_sha"
    SHA_MISMATCH = "sha_mismatch"
    TOO_LATE = "too_late"
    NOTHING_TO_CANCEL = "nothing_to_cancel"
    NO_ROLLOUT = "no_rollout"
    NOT_OVERRIDABLE = "not_overridable"
    BAD_PARAMETER = "bad_parameter"
    # the pull request
    CLOSED = "closed"
    DRAFT = "draft"
    FORK = "fork"
    FORK_NEEDS_OK = "fork_needs_ok"
    BASE_NOT_ALLOWED = "base_not_allowed"
    NOT_MERGEABLE = "not_mergeable"
    WORKFLOW_CHANGE = "workflow_change"
    OUT_OF_DATE = "out_of_date"
    CHECKS_NOT_GREEN = "checks_not_green"
    NOT_APPROVED = "not_approved"
    # the configuration
    CONFIG_MISSING = "config_missing"
    CONFIG_INVALID = "config_invalid"
    RULES_INVALID = "rules_invalid"
    RULES_NOT_ADOPTED = "rules_not_adopted"
    RULES_CHANGED = "rules_changed"
    POLICY = "policy"
    ENVIRONMENT_UNKNOWN = "environment_unknown"
    # the model
    NO_RUN = "no_run"
    NO_PACKAGE = "no_package"
    METRIC_GATE = "metric_gate"
    NOT_IN_STAGING = "not_in_staging"
    NO_REVISION = "no_revision"
    ALREADY_SERVING = "already_serving"
    # the environment
    LOCKED = "locked"
    FROZEN = "frozen"
    # ended on the way
    SUPERSEDED = "superseded"
    EARLIER_FAILED = "earlier_failed"
    CANCELED = "canceled"
    ENVIRONMENT_FAILED = "environment_failed"
    IMAGE_FAILED = "image_failed"
    COMPILE_FAILED = "compile_failed"
    RUN_FAILED = "run_failed"
    RUN_LOST = "run_lost"
    TIMED_OUT = "timed_out"
    NO_MODEL = "no_model"
    ROLLED_BACK = "rolled_back"
    MERGE_REFUSED = "merge_refused"
    OUTSIDE_REFUSED = "outside_refused"
    OUTSIDE_UNAVAILABLE = "outside_unavailable"
    INTERNAL_ERROR = "internal_error"


MEANING: dict[ReasonCode, str] = {
    ReasonCode.DONE: "it ended as asked",
    ReasonCode.NOT_HUMAN: "the author of the comment is an app; commands come from people",
    ReasonCode.PERMISSION_DENIED: "the author's role on the repository is too low for this command",
    ReasonCode.PERMISSION_UNKNOWN: "the author's role could not be read; an unknown role allows nothing",
    ReasonCode.MISTYPED: "the command could not be read",
    ReasonCode.COMMENT_CHANGED: "the comment was edited or deleted after it was read",
    ReasonCode.NEEDS_SHA: "nobody told the bot which commit was meant; say it with --sha",
    ReasonCode.SHA_MISMATCH: "--sha names another commit than the head of the pull request",
    ReasonCode.TOO_LATE: "the command was found too long after it was written to be carried out",
    ReasonCode.NOTHING_TO_CANCEL: "nothing of that kind is under way here",
    ReasonCode.NO_ROLLOUT: "no rollout is under way here",
    ReasonCode.NOT_OVERRIDABLE: "--set names a parameter that kfops.yaml does not list under overridable",
    ReasonCode.BAD_PARAMETER: "a parameter does not exist or has the wrong type",
    ReasonCode.CLOSED: "the pull request is closed",
    ReasonCode.DRAFT: "the pull request is a draft",
    ReasonCode.FORK: "the head is in a fork; forks are never deployed",
    ReasonCode.FORK_NEEDS_OK: "the head is in a fork; somebody who may write says /ok-to-test first",
    ReasonCode.BASE_NOT_ALLOWED: "the base is not the default branch",
    ReasonCode.NOT_MERGEABLE: "the pull request cannot be merged as it stands",
    ReasonCode.WORKFLOW_CHANGE: "the pull request changes .github/workflows; a person merges such a change",
    ReasonCode.OUT_OF_DATE: "the head lacks commits of the base branch",
    ReasonCode.CHECKS_NOT_GREEN: "a required check is not green",
    ReasonCode.NOT_APPROVED: "no approval of this commit counts",
    ReasonCode.CONFIG_MISSING: "there is no kfops.yaml at this commit",
    ReasonCode.CONFIG_INVALID: "kfops.yaml at this commit has errors",
    ReasonCode.RULES_INVALID: "kfops.yaml on the default branch has errors",
    ReasonCode.RULES_NOT_ADOPTED: "there is no kfops.yaml on the default branch yet",
    ReasonCode.RULES_CHANGED: "kfops.yaml on the default branch changed while the deployment was under way",
    ReasonCode.POLICY: "the server's policy does not allow it",
    ReasonCode.ENVIRONMENT_UNKNOWN: "kfops.yaml names no such environment",
    ReasonCode.NO_RUN: "no run of this very commit has succeeded",
    ReasonCode.NO_PACKAGE: "no package was built for this commit",
    ReasonCode.METRIC_GATE: "the metrics do not pass evidence.gates",
    ReasonCode.NOT_IN_STAGING: "this model does not serve in the environment that comes first",
    ReasonCode.NO_REVISION: "there is no such recorded revision",
    ReasonCode.ALREADY_SERVING: "this very model serves there already",
    ReasonCode.LOCKED: "somebody holds the environment",
    ReasonCode.FROZEN: "the server's policy freezes deployments now",
    ReasonCode.SUPERSEDED: "a push changed the pull request",
    ReasonCode.EARLIER_FAILED: "an earlier command of the same comment failed",
    ReasonCode.CANCELED: "somebody canceled it",
    ReasonCode.ENVIRONMENT_FAILED: "no Python environment could be made from the commit's requirements",
    ReasonCode.IMAGE_FAILED: "an image of images.build could not be built",
    ReasonCode.COMPILE_FAILED: "the pipeline does not compile",
    ReasonCode.RUN_FAILED: "a step of the pipeline failed",
    ReasonCode.RUN_LOST: "the run ended without a result, twice",
    ReasonCode.TIMED_OUT: "it took longer than pipeline.timeout",
    ReasonCode.NO_MODEL: "the pipeline handed over no model",
    ReasonCode.ROLLED_BACK: "the canary was taken back",
    ReasonCode.MERGE_REFUSED: "the forge refused the merge",
    ReasonCode.OUTSIDE_REFUSED: "another system refused",
    ReasonCode.OUTSIDE_UNAVAILABLE: "another system could not be reached for too long",
    ReasonCode.INTERNAL_ERROR: "a defect of Kfops; the operator finds it under the operation's number",
}


def reasons_table() -> str:
    """One row a code, for the README; a test holds the two together."""
    rows = [f"| `{code.value}` | {meaning} |" for code, meaning in MEANING.items()]
    return "\n".join(("| reason code | meaning |", "|---|---|", *rows)) + "\n"
