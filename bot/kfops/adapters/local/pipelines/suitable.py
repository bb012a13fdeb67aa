"""What `kfp.local` on one machine cannot run, found before anything starts. Pure but for the installed packages."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from packaging.requirements import InvalidRequirement, Requirement

from kfops.adapters.local.environments.installed import why_missing
from kfops.domain.package import PackageContent, StepKind


def unsuitable(
    content: PackageContent, packages: Path | None = None, *, installs: bool = False
) -> Iterator[str]:
    """Sentences with the step and the fix, the gravest first; none when the package can run here.

    `packages`: what was installed for it. `installs`: what steps want to install is seen to later.
    """
    for step in content.steps:
        if step.kind is StepKind.CONTAINER:
            yield (
                f"step {step.name} runs a command of the image {step.image}, which needs Kubeflow; on one machine every "
                f"step is a Python function: write it with @dsl.component"
            )
        elif step.kind is StepKind.IMPORTER:
            yield (
                f"step {step.name} imports an artifact by its address, and local steps have no network: pass the path of "
                f"a data set as a parameter instead"
            )
        for package in () if installs else step.packages:
            problem = _missing(package, packages)
            if problem:
                yield (
                    f"step {step.name} wants to install {package}, and local steps have no network: {problem}. Add it "
                    f"to the environment that Kfops runs in, or take it off packages_to_install"
                )


def _missing(package: str, packages: Path | None) -> str:
    """Why pip would have to fetch it; empty when what is installed satisfies it."""
    try:
        wanted = Requirement(package)
    except InvalidRequirement:
        return "it is not a plain requirement"
    return why_missing(wanted, packages)
