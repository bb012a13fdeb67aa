"""What a compiled pipeline says of itself: read from the package, never by importing somebody's code."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Any


class InputType(StrEnum):
    INT = "int"
    FLOAT = "float"
    STR = "str"
    BOOL = "bool"
    LIST = "list"
    DICT = "dict"


@dataclass(frozen=True)
class InputSpec:
    """One parameter of the pipeline. `default` None and not `required`: the pipeline itself says None."""

    name: str
    type: InputType
    default: Any = None
    required: bool = False
    description: str = ""


class StepKind(StrEnum):
    PYTHON = "python"  # a lightweight Python component: its source is in the package
    CONTAINER = "container"  # a command of an image's own
    IMPORTER = "importer"


@dataclass(frozen=True)
class StepSpec:
    """One leaf task. `name` is its path through nested pipelines (`train`, `prepare/split`); `component` is what it
    runs; `after` are the steps of the same level that it waits for; `outputs` maps artifacts to their type.

    `resources` and `environment` are as the package has them. `is_conditional`: it may be skipped.
    """

    name: str
    component: str
    kind: StepKind
    image: str = ""
    is_cached: bool = False
    retries: int = 0
    after: tuple[str, ...] = ()
    is_conditional: bool = False
    packages: tuple[str, ...] = ()
    resources: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class PackageContent:
    """`platform` is the second document of a package (Kubernetes settings by step's executor, `*` for all of it), empty
    where there is none.
    """

    name: str
    description: str
    inputs: tuple[InputSpec, ...]
    steps: tuple[StepSpec, ...]
    platform: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    sdk_version: str = ""

    @property
    def packages_to_install(self) -> tuple[str, ...]:
        """What the steps would install with pip before they run, each once, in order."""
        return tuple(dict.fromkeys(package for step in self.steps for package in step.packages))


@dataclass(frozen=True)
class Package:
    """A compiled pipeline in a file of the bot's; `digest` is its SHA-256 in hex."""

    path: Path
    digest: str
    content: PackageContent

    @property
    def name(self) -> str:
        return self.content.name

    @property
    def inputs(self) -> tuple[InputSpec, ...]:
        return self.content.inputs

    @property
    def steps(self) -> tuple[StepSpec, ...]:
        return self.content.steps


@dataclass(frozen=True)
class CompileFailure:
    """Why there is no package. `path` and `line` are a place in the repository where one is known, `code` that line.

    `log_tail` is foreign text: what the pipeline file printed. `hint` is a line that mends it.
    """

    summary: str
    path: str | None = None
    line: int | None = None
    code: str = ""
    log_tail: str = ""
    hint: str = ""
