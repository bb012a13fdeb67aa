"""The work: what is built and run. Read from the pull request's commit. Docstrings below keys go to the editor."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Literal

from pydantic import Field, JsonValue

from kfops.config.fields import Column, DnsLabel, Identifier, PositiveDuration, PythonName, RelativePath
from kfops.config.section import Section


class Pipeline(Section):
    """What is compiled and run."""

    source: RelativePath
    """The pipeline: a Python file (compiled in the sandbox), or a compiled .yaml package."""
    function: PythonName | None = None
    """The pipeline's function; needed only when the file has several pipelines."""
    requirements: RelativePath | None = None
    """What the steps import, as pinned requirements; none: the installed set serves."""
    parameters: Annotated[dict[Identifier, JsonValue], Field(max_length=100)] = Field(default_factory=dict)
    """Values of the pipeline's parameters; the others keep the pipeline's own defaults."""
    timeout: PositiveDuration = timedelta(hours=2)
    """A run that takes longer is ended."""
    cache: bool = True
    """Let a step whose inputs are unchanged take its earlier outputs."""


class Data(Section):
    """What the data are, so that they are checked before anything is trained."""

    parameter: Identifier = "data"
    """The pipeline's parameter that names the data set."""
    task: Literal["classification", "regression", "ts_forecast"]
    """What the model predicts."""
    target: Column
    """The column that is predicted; without it nothing is run."""
    ignore_columns: Annotated[tuple[Column, ...], Field(max_length=500)] = ()
    """Columns that the model must not see, such as identifiers."""
    rules: RelativePath | None = None
    """A file of checks that the data must pass."""


class Image(Section):
    """One container image."""

    name: DnsLabel
    """The image's name below `registry`; the pipeline file finds the image, by digest, as `KFOPS_IMAGE_<NAME>`."""
    context: RelativePath = "."
    """The folder that the build sees."""
    dockerfile: RelativePath = "Dockerfile"
    """The Dockerfile, below the context."""


class Images(Section):
    """Container images of the steps; none are needed when the steps are plain Python."""

    build: Annotated[tuple[Image, ...], Field(max_length=20)] = ()
    """The images to build before a run, in this order."""


class Samples(Section):
    """Files that show what callers send."""

    request: RelativePath | None = None
    """A request as a caller would send it, as JSON; the endpoint check sends it to each candidate."""


class WorkHalf(Section):
    version: Literal[1]
    """The version of this file's format."""
    pipeline: Pipeline
    """What is compiled and run."""
    data: Data | None = None
    """What the data are, so that they are checked before anything is trained."""
    images: Images = Images()
    """Container images of the steps."""
    samples: Samples = Samples()
    """Files that show what callers send."""
