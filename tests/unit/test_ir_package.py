"""Packages are foreign data: what is read of them, and what is refused."""

from __future__ import annotations

import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from kfops.domain.package import InputType, StepKind
from kfops.domain.package_ir import LARGEST_BYTES, NotAPackage, read_package
from kfops.domain.package_policy import Allowed, objections

PIP = (
    '\nif ! [ -x "$(command -v pip)" ]; then\n    python3 -m ensurepip || apt-get install python3-pip\nfi\n\n'
    "PIP_DISABLE_PIP_VERSION_CHECK=1 python3 -m pip install --quiet --no-warn-script-location "
    "--index-url https://example.org/simple --trusted-host example.org 'pandas>=2' 'flaml==2.7.0'  &&  "
    "python3 -m pip install --quiet 'kfp==2.17.0' '--no-deps' && \"$0\" \"$@\"\n"
)
RUN = "python3 -m kfp.dsl.executor_main --component_module_path x"


def executor(*command, image="python:3.11-slim", **more):
    return {
        "container": {"image": image, "command": list(command), "args": ["--executor_input", "{{$}}"], **more}
    }


def task(component, after=(), **more):
    return {
        "componentRef": {"name": component},
        "dependentTasks": list(after),
        "taskInfo": {"name": component},
        **more,
    }


def spec(**changes):
    return {
        "pipelineInfo": {"name": "churn", "description": "Who leaves?"},
        "schemaVersion": "2.1.0",
        "sdkVersion": "kfp-2.17.0",
        "components": {
            "comp-prepare": {"executorLabel": "exec-prepare"},
            "comp-train": {
                "executorLabel": "exec-train",
                "outputDefinitions": {
                    "artifacts": {"model": {"artifactType": {"schemaTitle": "system.Model"}}}
                },
            },
            "comp-inner": {"dag": {"tasks": {"prepare": task("comp-prepare")}}},
        },
        "deploymentSpec": {
            "executors": {
                "exec-prepare": executor("sh", "-c", PIP, "sh", "-ec", RUN, "pip install 'not this'"),
                "exec-train": executor(
                    "sh", "-ec", RUN, env=[{"name": "A", "value": "b"}], resources={"cpuLimit": 2.0}
                ),
            }
        },
        "root": {
            "dag": {
                "tasks": {
                    "train": task("comp-train", ["inner"], retryPolicy={"maxRetryCount": 2}),
                    "inner": task("comp-inner", cachingOptions={"enableCache": True}),
                }
            },
            "inputDefinitions": {
                "parameters": {
                    "time_budget": {
                        "parameterType": "NUMBER_INTEGER",
                        "defaultValue": 60.0,
                        "isOptional": True,
                        "description": "seconds",
                    },
                    "data": {"parameterType": "STRING"},
                    "ignore": {"parameterType": "LIST", "defaultValue": ["id"], "isOptional": True},
                    "note": {"parameterType": "STRING", "isOptional": True},
                }
            },
        },
        **changes,
    }


def read(content, platform=None):
    return read_package(yaml.safe_dump_all([content, *([platform] if platform else [])]))


def platform(**settings):
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-train": settings}}}}}


def test_inputs_have_their_types_back():
    inputs = {one.name: one for one in read(spec()).inputs}
    assert (inputs["time_budget"].type, inputs["time_budget"].default) == (InputType.INT, 60)
    assert isinstance(inputs["time_budget"].default, int)
    assert inputs["time_budget"].description == "seconds"
    assert inputs["data"].required
    assert inputs["ignore"].default == ["id"]
    assert (inputs["note"].required, inputs["note"].default) == (False, None)


def test_steps_come_in_the_order_of_their_waiting_with_nested_ones_by_path():
    steps = read(spec()).steps
    assert [step.name for step in steps] == ["inner/prepare", "train"]
    train = steps[1]
    assert (train.kind, train.retries, train.after) == (StepKind.PYTHON, 2, ("inner",))
    assert (train.outputs, train.environment) == ({"model": "system.Model"}, {"A": "b"})


def test_what_pip_would_install_is_read_without_options_and_without_the_steps_source():
    assert read(spec()).packages_to_install == ("pandas>=2", "flaml==2.7.0", "kfp==2.17.0")


def test_json_is_read_too():
    assert read_package(json.dumps(spec())).name == "churn"


def test_a_container_is_told_from_a_function():
    content = spec()
    content["deploymentSpec"]["executors"]["exec-train"] = executor("echo", image="alpine")
    assert read(content).steps[1].kind is StepKind.CONTAINER
    content["deploymentSpec"]["executors"]["exec-train"] = {"importer": {}}
    assert read(content).steps[1].kind is StepKind.IMPORTER


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "no compiled pipeline"),
        ("[1, 2]", "no compiled pipeline"),
        ("a: 1\n---\nb: 2\n", "no compiled pipeline"),
        ("a: &x 1\nb: *x\n", "the package has an anchor or an alias in line 1"),
        ("a: [1, 2\n", "not valid YAML at line 2"),
        ("a: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("\x00", "not valid YAML"),
        ("a: 2026-99-99", "cannot be read"),
        ("\ud800", "cannot be read"),
        ("[" * 5000, "nested too deeply"),
        ("x" * (LARGEST_BYTES + 1), "expected at most"),
        ("? {a: 1}\n: 2\n", "not valid YAML"),
        ("a: {b: [{c: b}], b: 2}\n", "the package has the name 'b' once more in line 1"),
        ("a: 1\n'a': 2\n", "the name 'a' once more in line 2"),
    ],
)
def test_r11_what_is_no_package_is_refused(text, words):
    with pytest.raises(NotAPackage, match=words):
        read_package(text)


def test_r11_a_pipeline_that_contains_itself_is_refused():
    content = spec()
    content["components"]["comp-inner"]["dag"]["tasks"] = {"again": task("comp-inner")}
    with pytest.raises(NotAPackage, match="contains itself"):
        read(content)


def test_r11_steps_that_wait_for_one_another_are_refused():
    content = spec()
    content["root"]["dag"]["tasks"]["inner"]["dependentTasks"] = ["train"]
    with pytest.raises(NotAPackage, match="wait for one another"):
        read(content)


PATHS = ["/etc", "../../up", "..", ".hidden", "a/b", "", "nul\0", "a b", "größe", "x" * 129]


@pytest.mark.parametrize("name", [*PATHS, 7])
def test_r11_an_input_whose_name_is_no_name_is_refused(name):
    content = spec()
    content["root"]["inputDefinitions"]["parameters"] = {name: {"parameterType": "STRING"}}
    with pytest.raises(NotAPackage, match="an input of the pipeline has the name"):
        read(content)


@pytest.mark.parametrize("name", PATHS)
def test_r11_a_pipeline_step_component_or_output_whose_name_is_no_name_is_refused(name):
    pipeline, step, component, output = spec(), spec(), spec(), spec()
    pipeline["pipelineInfo"]["name"] = name
    step["root"]["dag"]["tasks"] = {name: task("comp-train")}
    component["components"] = {f"comp-{name}": {"executorLabel": "exec-train"}}
    component["root"]["dag"]["tasks"] = {"train": task(f"comp-{name}")}
    output["components"]["comp-train"]["outputDefinitions"] = {"artifacts": {name: {}}}
    for content, what in (
        (pipeline, "the pipeline"),
        (step, "a step"),
        (component, "the component of step train"),
        (output, "an output of step train"),
    ):
        with pytest.raises(NotAPackage, match=f"{what} has the name"):
            read(content)


@given(
    st.sampled_from(["root", "components", "deploymentSpec", "pipelineInfo"]),
    st.recursive(
        st.none() | st.booleans() | st.floats() | st.text(max_size=5),
        lambda below: st.lists(below, max_size=2) | st.dictionaries(st.text(max_size=5), below, max_size=2),
        max_leaves=5,
    ),
)
def test_r11_nonsense_is_refused_and_nothing_else_is_raised(part, nonsense):
    try:
        read_package(json.dumps(spec(**{part: nonsense})))
    except NotAPackage as refusal:
        assert str(refusal)  # noqa: PT017 - reading may succeed


SECRET = {"secretAsVolume": [{"secretName": "theirs"}]}


def settings_of(**executors):
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": executors}}}}


def test_r11_no_settings_are_hidden_by_others_of_nearly_the_same_name():
    twice = settings_of(**{"exec-train": SECRET, "train": {"secretAsVolume": []}})
    assert objections(read(spec(), twice), Allowed()) == (
        "step train wants the secret theirs, which the operator does not allow",
    )


def test_r11_settings_of_another_platform_are_refused_as_they_hide_those_that_count():
    other = settings_of(**{"exec-train": SECRET})
    other["platforms"]["other"] = settings_of(**{"exec-train": {"secretAsVolume": []}})["platforms"][
        "kubernetes"
    ]
    with pytest.raises(NotAPackage, match="platforms kubernetes, other; expected those of kubernetes only"):
        read(spec(), other)


@pytest.mark.parametrize(
    "settings",
    [
        {"pipelineConfig": {"serviceAccount": ""}, "serviceAccount": "admin"},
        {"deploymentSpec": {"executors": {}, "serviceAccount": "admin"}},
    ],
)
def test_r11_settings_in_a_place_of_their_own_are_refused(settings):
    with pytest.raises(NotAPackage, match="in a place where KFP's compiler writes none"):
        read(spec(), {"platforms": {"kubernetes": settings}})


@pytest.mark.parametrize(
    "executor",
    [
        {"container": {"image": "evil.example/miner"}, "importer": None},
        {"container": {"image": "evil.example/miner"}, "importer": {}},
        {"container": None},
        {"container": []},
        {"customJob": {"customJob": {}}},
        {"resolver": {}},
        {},
    ],
)
def test_r11_an_executor_is_either_a_container_or_an_importer(executor):
    content = spec()
    content["deploymentSpec"]["executors"]["exec-train"] = executor
    with pytest.raises(NotAPackage, match=r"the executor of step train .* expected either a container or an"):
        read(content)


def test_r11_a_component_is_either_a_pipeline_or_a_step():
    content = spec()
    content["components"]["comp-train"]["dag"] = {"tasks": {}}
    with pytest.raises(NotAPackage, match="the component of step train has to be either"):
        read(content)


@pytest.mark.parametrize(
    ("settings", "allowed", "words"),
    [
        ({"nodeSelector": {}}, Allowed(), None),
        ({"pvcMount": [{}]}, Allowed(), "platform setting pvcMount"),
        ({"pvcMount": [{}]}, Allowed(platform=frozenset({"pvcMount"})), None),
        ({"somethingNew": 1}, Allowed(), "platform setting somethingNew"),
        ({"secretAsEnv": [{"secretName": "mine"}]}, Allowed(secrets=frozenset({"mine"})), None),
        (
            {"secretAsEnv": [{"secretName": "theirs"}]},
            Allowed(secrets=frozenset({"mine"})),
            "the secret theirs",
        ),
        (
            {
                "secretAsEnv": [
                    {"secretName": "mine", "secretNameParameter": {"runtimeValue": {"constant": "theirs"}}}
                ]
            },
            Allowed(secrets=frozenset({"mine"})),
            "the secret theirs",
        ),
        (
            {"secretAsVolume": [{"secretNameParameter": {"componentInputParameter": "x"}}]},
            Allowed(secrets=frozenset({"mine"})),
            "whose name is an input",
        ),
        (
            {
                "secretAsEnv": [
                    {"secretName": "mine", "secret_name_parameter": {"component_input_parameter": "x"}}
                ]
            },
            Allowed(secrets=frozenset({"mine"})),
            "spelled in another way",
        ),
    ],
)
def test_r11_platform_settings_are_held_against_the_list(settings, allowed, words):
    found = objections(read(spec(), platform(**settings)), allowed)
    assert (words is None and not found) or any(words in sentence for sentence in found)


def test_r11_settings_of_the_whole_pipeline_count():
    whole = {"platforms": {"kubernetes": {"pipelineConfig": {"serviceAccount": "admin"}}}}
    assert (
        "the pipeline has the platform setting serviceAccount"
        in objections(read(spec(), whole), Allowed())[0]
    )
