"""Read a compiled pipeline (KFP's IR, schema 2.1): text to values. The text is foreign, so it is checked on the way."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from kfops.domain.package import InputSpec, InputType, PackageContent, StepKind, StepSpec

LARGEST_BYTES = 2 << 20
_DEEPEST = 60
_MOST_NODES = 200_000
_MOST_STEPS = 500
_TYPES = {
    "NUMBER_INTEGER": InputType.INT,
    "NUMBER_DOUBLE": InputType.FLOAT,
    "STRING": InputType.STR,
    "BOOLEAN": InputType.BOOL,
    "LIST": InputType.LIST,
    "STRUCT": InputType.DICT,
}
_LOADER: Any = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # the same rules in C, which large packages need
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
    size = len(text.encode(errors="surrogatepass"))
    if size > LARGEST_BYTES:
        raise NotAPackage(f"the package has {size} bytes; expected at most {LARGEST_BYTES}")
    try:
        _look_first(text)
        documents = [document for document in yaml.load_all(text, Loader=_LOADER) if document]
    except yaml.YAMLError as error:
        place = getattr(error, "problem_mark", None)
        where = f" at line {place.line + 1}" if place else ""
        raise NotAPackage(f"the package is not valid YAML{where}") from error
    except (ValueError, RecursionError) as error:  # a date that is none, for instance
        raise NotAPackage(f"the package cannot be read: {error}") from error
    specs = [d for d in documents if isinstance(d, dict) and "pipelineInfo" in d and "root" in d]
    platforms = [d for d in documents if isinstance(d, dict) and "platforms" in d]
    if len(specs) != 1 or len(platforms) > 1 or len(specs) + len(platforms) != len(documents):
        raise NotAPackage(
            "the file is no compiled pipeline; expected one pipeline specification (pipelineInfo, root, components) "
            "and at most one document of platform settings"
        )
    return specs[0], platforms[0] if platforms else {}


def _look_first(text: str) -> None:
    """An alias makes a small text large and a deep one breaks readers: both are refused before anything is built."""
    depth = 0
    for nodes, event in enumerate(yaml.parse(text, Loader=_LOADER)):
        if isinstance(event, yaml.AliasEvent) or getattr(event, "anchor", None):
            line = event.start_mark.line + 1 if event.start_mark else "?"
            raise NotAPackage(f"line {line} of the package has an anchor or an alias; expected plain YAML")
        if isinstance(event, yaml.CollectionStartEvent):
            depth += 1
        elif isinstance(event, yaml.CollectionEndEvent):
            depth -= 1
        if depth > _DEEPEST or nodes > _MOST_NODES:
            raise NotAPackage("the package is nested too deeply or has too many entries")


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
    container = executor.get("container", {})
    command = [str(word) for word in [*container.get("command", []), *container.get("args", [])]]
    kind = StepKind.IMPORTER if "importer" in executor else StepKind.CONTAINER
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
    """Settings by step's executor, `*` for the whole pipeline; every platform counts."""
    found: dict[str, dict[str, Any]] = {}
    for platform in document.get("platforms", {}).values():
        for executor, settings in platform.get("deploymentSpec", {}).get("executors", {}).items():
            found.setdefault(str(executor).removeprefix("exec-"), {}).update(settings)
        rest = {key: value for key, value in platform.items() if key != "deploymentSpec"}
        rest |= platform.get("pipelineConfig", {}) if "pipelineConfig" in rest else {}
        rest.pop("pipelineConfig", None)
        if rest:
            found.setdefault("*", {}).update(rest)
    return found
