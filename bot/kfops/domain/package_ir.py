"""Read a compiled pipeline (KFP's IR, schema 2.1): text to values. The text is foreign, so it is checked on the way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

from kfops.domain.package import InputSpec, InputType, PackageContent, StepKind, StepSpec
from kfops.domain.plain_yaml import NotPlain, plain_documents

LARGEST_BYTES = 2 << 20
_DEEPEST = 60
_MOST_STEPS = 500
_TYPES = {
    "NUMBER_INTEGER": InputType.INT,
    "NUMBER_DOUBLE": InputType.FLOAT,
    "STRING": InputType.STR,
    "BOOLEAN": InputType.BOOL,
    "LIST": InputType.LIST,
    "STRUCT": InputType.DICT,
}
_PLATFORM = "kubernetes"
_EXECUTOR = "kfp.dsl.executor_main"
_PIP = re.compile(r"-m pip install (.*?)(?:&&|\n|$)", re.DOTALL)
# Names become folders, keys of an object storage and words of a reply: as KFP's compiler writes them, and nothing else.
_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]{0,127}", re.ASCII)
_WITH_VALUE = {"-i", "--index-url", "--extra-index-url", "--trusted-host", "-f", "--find-links", "-r", "-c"}


class NotAPackage(ValueError):  # noqa: N818 - what was given, in the reader's words
    """The text is no pipeline package, or one that is not read; the message is a sentence for its author."""


def read_package(text: str) -> PackageContent:
    """Inputs, steps and platform settings. NotAPackage says what is wrong; nothing else is raised."""
    spec, platform = _documents(text)
    try:
        root = spec["root"]
        return PackageContent(
            name=_name(spec["pipelineInfo"]["name"], "the pipeline"),
            description=str(spec["pipelineInfo"].get("description", "")),
            inputs=tuple(_inputs(root)),
            steps=tuple(_steps(spec)),
            platform=_platform(platform),
            sdk_version=str(spec.get("sdkVersion", "")),
        )
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        if isinstance(error, NotAPackage):
            raise
        raise NotAPackage(f"the package is not as KFP's compiler writes it: {error!r}") from error


def _documents(text: str) -> tuple[dict[str, Any], dict[str, Any]]:
    try:
        documents = [document for document in plain_documents(text, LARGEST_BYTES) if document]
    except NotPlain as error:
        raise NotAPackage(f"the package {error}") from error
    specs = [d for d in documents if isinstance(d, dict) and "pipelineInfo" in d and "root" in d]
    platforms = [d for d in documents if isinstance(d, dict) and "platforms" in d]
    if len(specs) != 1 or len(platforms) > 1 or len(specs) + len(platforms) != len(documents):
        raise NotAPackage(
            "the file is no compiled pipeline; expected one pipeline specification (pipelineInfo, root, components) "
            "and at most one document of platform settings"
        )
    return specs[0], platforms[0] if platforms else {}


def _name(name: Any, what: str) -> str:
    if not isinstance(name, str) or _NAME.fullmatch(name) is None:
        raise NotAPackage(
            f"{what} has the name {str(name)[:60]!r}; expected letters, digits, '_', '-' and '.' of ASCII, the first one a "
            "letter, a digit or '_', at most 128"
        )
    return name


def _inputs(root: Mapping[str, Any]) -> Iterator[InputSpec]:
    for given, content in root.get("inputDefinitions", {}).get("parameters", {}).items():
        name = _name(given, "an input of the pipeline")
        kind = _TYPES.get(content["parameterType"])
        if kind is None:
            raise NotAPackage(
                f"the input {name} has the type {content['parameterType']}; expected one of {', '.join(_TYPES)}"
            )
        yield InputSpec(
            name=name,
            type=kind,
            default=_default(content.get("defaultValue"), kind),
            required=not content.get("isOptional", False),
            description=str(content.get("description", "")),
        )


def _default(value: Any, kind: InputType) -> Any:
    # In the package every number is a float.
    return int(value) if kind is InputType.INT and value is not None else value


def _steps(spec: Mapping[str, Any]) -> Iterator[StepSpec]:
    components, executors = spec["components"], spec["deploymentSpec"]["executors"]
    count = 0

    def below(dag: Mapping[str, Any], path: str, *, is_conditional: bool, depth: int) -> Iterator[StepSpec]:
        nonlocal count
        for name, task in _in_order(dag["tasks"]):
            count += 1
            if count > _MOST_STEPS or depth > _DEEPEST:
                raise NotAPackage(f"the pipeline has more than {_MOST_STEPS} steps, or contains itself")
            _name(name, "a step")
            component = task["componentRef"]["name"]
            content = components[component]
            maybe = is_conditional or bool(task.get("triggerPolicy", {}).get("condition"))
            if ("dag" in content) == ("executorLabel" in content):
                raise NotAPackage(
                    f"the component of step {path}{name} has to be either a pipeline (dag) or a step (executorLabel)"
                )
            if "dag" in content:
                yield from below(content["dag"], f"{path}{name}/", is_conditional=maybe, depth=depth + 1)
            else:
                yield _step(
                    f"{path}{name}", component, task, content, executors[content["executorLabel"]], maybe
                )

    return below(spec["root"]["dag"], "", is_conditional=False, depth=0)


def _in_order(tasks: Mapping[str, Any]) -> list[tuple[str, Any]]:
    """Each after those it waits for; otherwise as they are written."""
    ordered: dict[str, Any] = {}
    waiting = dict(tasks)
    while waiting:
        ready = [
            n for n, task in waiting.items() if not (set(task.get("dependentTasks", [])) & waiting.keys())
        ]
        if not ready:
            raise NotAPackage(f"these steps wait for one another: {', '.join(waiting)}")
        for name in ready:
            ordered[name] = waiting.pop(name)
    return list(ordered.items())


def _step(
    name: str,
    component: str,
    task: Mapping[str, Any],
    content: Mapping[str, Any],
    executor: Mapping[str, Any],
    is_conditional: bool,
) -> StepSpec:
    kind = _kind(executor, name)
    container = executor.get("container", {})
    command = [str(word) for word in [*container.get("command", []), *container.get("args", [])]]
    if any(_EXECUTOR in word for word in command):
        kind = StepKind.PYTHON
    outputs = content.get("outputDefinitions", {}).get("artifacts", {})
    return StepSpec(
        name=name,
        component=_name(component.removeprefix("comp-"), f"the component of step {name}"),
        kind=kind,
        image=str(container.get("image", "")),
        is_cached=bool(task.get("cachingOptions", {}).get("enableCache", False)),
        retries=int(task.get("retryPolicy", {}).get("maxRetryCount", 0)),
        after=tuple(str(other) for other in task.get("dependentTasks", [])),
        is_conditional=is_conditional,
        packages=tuple(_packages(command)),
        resources=dict(container.get("resources", {})),
        environment={str(item["name"]): str(item.get("value", "")) for item in container.get("env", [])},
        outputs={
            _name(key, f"an output of step {name}"): str(_artifact_type(value))
            for key, value in outputs.items()
        },
    )


def _kind(executor: Mapping[str, Any], step: str) -> StepKind:
    for kind in (StepKind.CONTAINER, StepKind.IMPORTER):
        if executor.keys() == {kind.value} and isinstance(executor[kind.value], Mapping):
            return kind
    raise NotAPackage(
        f"the executor of step {step} has {', '.join(map(str, executor))[:60] or 'nothing'}; "
        "expected either a container or an importer"
    )


def _artifact_type(artifact: Mapping[str, Any]) -> str:
    kind = artifact.get("artifactType", {})
    return str(kind.get("schemaTitle") or kind.get("instanceSchema") or "")


def _packages(command: list[str]) -> Iterator[str]:
    """What the step installs before it runs: KFP's compiler writes it as a line of shell."""
    for word in command:
        if _EXECUTOR in word:
            return  # what follows is the step's own source
        for line in _PIP.findall(word):
            try:
                words = iter(shlex.split(line))
            except ValueError as error:
                raise NotAPackage(f"a step's pip line cannot be read: {error}") from error
            for argument in words:
                if argument in _WITH_VALUE:
                    next(words, None)
                elif not argument.startswith("-"):
                    yield argument


def _platform(document: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Settings by step's executor, as it is named there; `*` for the whole pipeline. No entry hides another."""
    platforms = document.get("platforms", {})
    if platforms.keys() - {_PLATFORM}:
        raise NotAPackage(
            f"the package has settings of the platforms {', '.join(map(str, platforms))[:200]}; "
            f"expected those of {_PLATFORM} only"
        )
    settings = dict(platforms.get(_PLATFORM, {}))
    of_steps = settings.pop("deploymentSpec", {})
    of_pipeline = settings.pop("pipelineConfig", {})
    twice = settings.keys() & of_pipeline.keys()
    if of_steps.keys() - {"executors"} or twice:
        raise NotAPackage("the package has platform settings in a place where KFP's compiler writes none")
    found = {
        _name(executor, "an executor with platform settings"): dict(its)
        for executor, its in of_steps.get("executors", {}).items()
    }
    whole = {**settings, **of_pipeline}
    return {**found, "*": whole} if whole else found
