"""Whether a run's steps may run in the images that its package names."""

from __future__ import annotations

from kfops.config.tighten import image_refusal
from kfops.domain.facts import Refusal
from kfops.domain.package import Package, StepKind
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context
from kfops.workflow.gathering import RulesRead


def refused(context: Context, read: RulesRead, package: Package) -> Refusal | None:
    """R10, R11: images of strangers, where the engine pulls any. On one machine steps run in what Kfops brings."""
    if not context.ports.pipelines.pulls_images:
        return None
    for step in package.steps:
        if step.kind is StepKind.IMPORTER:
            continue
        why = image_refusal(context.options.policy, read.repository.full_name, step.image)
        if why is not None:
            return Refusal(
                ReasonCode.POLICY.value,
                f"The step {step.name} runs in an image that the server's policy does not grant.",
                why.found,
                why.expected,
                "Name one of those as the step's `base_image`, or ask the operator of Kfops for `image_repositories`.",
            )
    return None
