"""The container images of a run: built from the pinned commit, once, and known by digest from then on."""

from __future__ import annotations

from dataclasses import replace

from kfops.config.meaning import Rules, Work
from kfops.config.policy import grant_of
from kfops.config.work import Image
from kfops.domain.facts import ImageFact, Refusal, RunFacts
from kfops.domain.operation import Outcome
from kfops.ports.images import ImageFailure, ImageOrder, Images
from kfops.rules.reasons import ReasonCode
from kfops.workflow.context import Context, End, Next, Step
from kfops.workflow.gathering import RulesRead


class _NotBuilt(Exception):  # noqa: N818 - the effect did not happen
    def __init__(self, failure: ImageFailure) -> None:
        super().__init__(failure.summary)
        self.failure = failure


def built(context: Context, facts: RunFacts, read: RulesRead, work: Work, then: str) -> Step:
    """One image a step, in the order of kfops.yaml; on to `then` when all are there."""
    image = next((one for one in work.images if one.name not in {known.name for known in facts.images}), None)
    if image is None:
        return Next(then, facts)
    images = context.ports.images
    why = _why_not(context, read)
    if images is None or why:
        return _refused(facts, why or "This server builds no images.", "Ask the operator of Kfops.")
    return _one(context, facts, images, _order(context, read.rules, image), image)


def _one(context: Context, facts: RunFacts, images: Images, order: ImageOrder, image: Image) -> Step:
    def do() -> str:
        answer = images.build(order)
        if isinstance(answer, ImageFailure):
            raise _NotBuilt(answer)
        return answer.reference

    try:
        reference = context.effect(
            f"image:{image.name}", do, lambda: images.find(order.repository, order.tag)
        )
    except _NotBuilt as error:
        return _failed(facts, image, error.failure, context)
    fact = ImageFact(image.name, reference)
    return Next(context.operation.phase, replace(facts, images=(*facts.images, fact)))


def _order(context: Context, rules: Rules, image: Image) -> ImageOrder:
    return ImageOrder(
        source_dir=context.source_dir,
        context=image.context,
        dockerfile=image.dockerfile,
        repository=f"{rules.registry}/{image.name}",
        tag=str(context.operation.subject.head_sha),
        owner=context.operation.subject.repository_id,
    )


def _why_not(context: Context, read: RulesRead) -> str:
    """Building runs the Dockerfile with little between it and the machine: for trusted repositories, never for forks."""
    subject = context.operation.subject
    if subject.head_repository_id != subject.repository_id:
        return "Images are never built from a fork."
    if read.rules.registry is None:
        return "`kfops.yaml` on the default branch names no `registry` to push images to."
    grant = grant_of(context.options.policy, read.repository.full_name)
    if grant is None or not grant.build_images:
        return "The operator has not called this repository trusted, so its images are not built."
    return ""


def _refused(facts: RunFacts, sentence: str, fix: str) -> End:
    why = Refusal(ReasonCode.POLICY.value, sentence, fix=fix)
    return End(Outcome.REFUSED, ReasonCode.POLICY, replace(facts, refusal=why))


def _failed(facts: RunFacts, image: Image, failure: ImageFailure, context: Context) -> End:
    why = Refusal(
        ReasonCode.IMAGE_FAILED.value,
        f"The image `{image.name}` could not be built: {failure.summary}.",
        fix=f"Mend `{image.dockerfile}` and push.",
        detail=failure.log_tail,
    )
    return End(Outcome.FAILED, ReasonCode.IMAGE_FAILED, replace(facts, refusal=why, ended_at=context.now))
