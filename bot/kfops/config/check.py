"""What is allowed in `kfops.yaml` and still probably not meant: for `kfc check` and the first reply."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from kfops.command.duration import format_duration
from kfops.config.gate_expression import Gate
from kfops.config.model import KfopsFile

_RULE_OF_THREE = 3
_SHORT_HOLD = timedelta(seconds=30)


@dataclass(frozen=True)
class ConfigWarning:
    """`path` is the key with dots; `hint` a change that mends it."""

    path: str
    message: str
    hint: str

    def __str__(self) -> str:
        return f"{self.path}: {self.message} {self.hint}"


def check(file: KfopsFile) -> tuple[ConfigWarning, ...]:
    return (*_canary(file), *_evidence(file), *_parameters(file), *_environments(file))


def _canary(file: KfopsFile) -> Iterator[ConfigWarning]:
    """Without a single error in n requests, the rate may still be 3/n (the rule of three, at 95 %). So fewer than
    3/δ requests cannot show that the rate is below δ, and such a canary could not be promoted.
    """
    canary = file.deployment.canary
    needed = round(_RULE_OF_THREE / canary.max_error_increase)
    if canary.min_requests < needed:
        yield ConfigWarning(
            "deployment.canary.min_requests",
            f"{canary.min_requests} requests can never show an error increase below {canary.max_error_increase:g}.",
            f"Set it to {needed} or more, or raise max_error_increase.",
        )
    if canary.patience < canary.hold:
        yield ConfigWarning(
            "deployment.canary.patience",
            f"it ends ({format_duration(canary.patience)}) before the first step may "
            f"({format_duration(canary.hold)}), so every canary is asked about.",
            "Make patience longer than hold.",
        )
    if canary.hold < _SHORT_HOLD:
        yield ConfigWarning(
            "deployment.canary.hold",
            f"a step of {format_duration(canary.hold)} sees little of the day's traffic.",
            "Minutes are usual; seconds are for trying things out.",
        )


def _evidence(file: KfopsFile) -> Iterator[ConfigWarning]:
    primary, gates = file.evidence.primary, file.evidence.gates
    if not gates:
        yield ConfigWarning(
            "evidence.gates",
            "no metric stands between a run and its deployment.",
            f'Add one, such as "{primary or "roc_auc"} >= champion - 0.005".',
        )
    elif primary and all(primary not in gate.metrics for gate in gates):
        yield ConfigWarning(
            "evidence.primary", f"no gate looks at {primary}.", f'Add one, such as "{primary} >= champion".'
        )
    seen: dict[str, Gate] = {}
    for index, gate in enumerate(gates):
        if gate.text in seen:
            yield ConfigWarning(f"evidence.gates[{index}]", "this gate stands twice.", "Remove one of them.")
        seen[gate.text] = gate


def _parameters(file: KfopsFile) -> Iterator[ConfigWarning]:
    if file.data and file.data.parameter not in file.pipeline.parameters:
        yield ConfigWarning(
            "data.parameter",
            f"pipeline.parameters has no {file.data.parameter}, so the pipeline's own default names the data set.",
            f"Set pipeline.parameters.{file.data.parameter}.",
        )
    if file.images.build and file.registry is None:
        yield ConfigWarning(
            "images.build", "images are built and there is no registry to push them to.", "Set registry."
        )


def _environments(file: KfopsFile) -> Iterator[ConfigWarning]:
    for name, environment in file.deployment.environments.items():
        if environment.merge not in {None, "none"} and "approval" not in (
            environment.requires or ("approval",)
        ):
            yield ConfigWarning(
                f"deployment.environments.{name}.requires",
                "a deployment here merges without anybody's approval.",
                "Add approval.",
            )
