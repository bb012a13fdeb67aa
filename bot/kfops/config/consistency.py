"""What only shows when two keys are read together."""

from __future__ import annotations

from collections.abc import Iterator

from kfops.command.identifiers import shown
from kfops.config.errors import ConfigProblem, Path, dotted
from kfops.config.meaning import STAGING
from kfops.config.rules import RulesHalf
from kfops.config.tree import Tree
from kfops.config.work import WorkHalf


def work_contradictions(typed: WorkHalf, tree: Tree) -> Iterator[ConfigProblem]:
    names = [image.name for image in typed.images.build]
    for index, name in enumerate(names):
        if name in names[:index]:
            here: Path = ("images", "build", index, "name")
            yield _problem(tree, here, "two images have this name", name, "a name of its own for each image")
    if typed.data and typed.data.target in typed.data.ignore_columns:
        path = ("data", "ignore_columns")
        yield _problem(
            tree, path, "the target is among the ignored columns", typed.data.target, "other columns"
        )


def rules_contradictions(typed: RulesHalf, tree: Tree) -> Iterator[ConfigProblem]:
    replicas = typed.deployment.predictor.replicas
    if replicas.min > replicas.max:
        path: Path = ("deployment", "predictor", "replicas")
        yield _problem(
            tree, path, "min is greater than max", f"{replicas.min} and {replicas.max}", "min ≤ max"
        )
    yield from _environment_contradictions(typed, tree)


def _environment_contradictions(typed: RulesHalf, tree: Tree) -> Iterator[ConfigProblem]:
    environments = typed.deployment.environments
    seen: dict[str, str] = {}
    for name, environment in environments.items():
        here: Path = ("deployment", "environments", name)
        if environment.namespace in seen:
            # The inference service is named after the model, so two environments would be the same service.
            message = f"environment {seen[environment.namespace]} has this namespace too"
            yield _problem(
                tree, (*here, "namespace"), message, environment.namespace, "a namespace of its own"
            )
        seen.setdefault(environment.namespace, name)
        if "staging" in (environment.requires or ()) and (name == STAGING or STAGING not in environments):
            message = "staging cannot come before this environment"
            found = "staging itself" if name == STAGING else f"environments {', '.join(environments)}"
            yield _problem(
                tree, (*here, "requires"), message, found, "another environment with the name staging"
            )


def _problem(tree: Tree, path: Path, message: str, found: str, expected: str) -> ConfigProblem:
    return ConfigProblem(tree.place(path), dotted(path), message, shown(found), expected)
