"""`--set` and `--config-override`: typed, and every other key left alone."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfops.config.errors import ConfigError
from kfops.config.load import load_tree
from kfops.config.local import overridden
from kfops.config.overrides import Parameters, Wrong, from_text, parameters
from kfops.domain.package import InputSpec, InputType

INPUTS = (
    InputSpec("data", InputType.STR, required=True),
    InputSpec("time_budget", InputType.INT, 60),
    InputSpec("rate", InputType.FLOAT, 0.1),
    InputSpec("verbose", InputType.BOOL, False),
    InputSpec("layers", InputType.LIST, None),
    InputSpec("options", InputType.DICT, None),
)
CONFIGURED = {"data": "a.csv", "time_budget": 30}

FILE = """\
version: 1
pipeline:
  source: pipeline.py
  parameters: {data: a.csv, time_budget: 30}
images: {build: [{name: one}, {name: two}]}
model: churn
deployment: {canary: {steps: [5, 50], hold: 5m}}
"""


def values(*assignments, configured=CONFIGURED, **rest):
    found = parameters(INPUTS, configured, assignments, **rest)
    assert isinstance(found, Parameters), found
    return found.values


def problem(*assignments, configured=CONFIGURED, **rest):
    (found,) = parameters(INPUTS, configured, assignments, **rest)
    return found


def test_original_defect_13_set_throws_the_other_parameters_away():
    assert values(("rate", "0.5")) == {"data": "a.csv", "time_budget": 30, "rate": 0.5}


def test_original_defect_13_values_are_always_strings():
    typed = values(
        ("time_budget", "9"),
        ("rate", "1e-3"),
        ("verbose", "true"),
        ("layers", "[1, 2]"),
        ("options", '{"a": 1}'),
    )
    assert typed == {
        "data": "a.csv", "time_budget": 9, "rate": 0.001, "verbose": True, "layers": [1, 2], "options": {"a": 1},
    }  # fmt: skip
    assert isinstance(typed["time_budget"], int)


def test_original_defect_13_equals_sign_in_a_value():
    assert values(("data", "s3://b/a?x=1&y=2"))["data"] == "s3://b/a?x=1&y=2"


def test_original_defect_12_valid_setting_is_always_overwritten():
    file = load_tree(overridden(FILE + "models: {registered_by: pipeline}\n", filename="kfops.yaml"))
    assert file.models.registered_by == "pipeline"


def test_original_defect_15_optional_file_is_a_hard_error():
    file = load_tree(overridden("version: 1\npipeline: {source: p.py}\nmodel: m\n", filename="kfops.yaml"))
    assert file.images.build == ()
    assert file.samples.request is None


def test_text_parameter_keeps_what_looks_like_a_number():
    assert values(("data", "007"))["data"] == "007"


def test_whole_number_is_a_number_too():
    assert values(("rate", "2"))["rate"] == 2.0
    assert values(configured={"data": "a", "rate": 2})["rate"] == 2.0
    assert values(configured={"data": "a", "layers": None})["layers"] is None


WRONG = {
    "misspelt": (("time_budgt", "9"), "no such parameter", "Did you mean time_budget?"),
    "unknown": (("zzz", "9"), "no such parameter", "one of data, time_budget"),
    "text for int": (("time_budget", "nine"), "wants int", "a whole number"),
    "fraction for int": (("time_budget", "1.5"), "wants int", "a whole number"),
    "digits of another script": (("time_budget", "１"), "wants int", "a whole number"),
    "underscores": (("time_budget", "1_0"), "wants int", "a whole number"),
    "infinity": (("rate", "inf"), "wants float", "a number"),
    "overflow": (("rate", "1e999"), "wants float", "a number"),
    "not a boolean": (("verbose", "maybe"), "wants bool", "true or false"),
    "not JSON": (("layers", "1,2"), "wants list", "a JSON list"),
    "object for list": (("layers", "{}"), "wants list", "a JSON list"),
    "list for object": (("options", "[]"), "wants dict", "a JSON object"),
    "NaN is no JSON": (("layers", "[NaN]"), "wants list", "a JSON list"),
    "bottomless JSON": (("layers", "[" * 100_000), "wants list", "a JSON list"),
}


@pytest.mark.parametrize(("assignment", "message", "said"), WRONG.values(), ids=WRONG)
def test_wrong_set_is_told(assignment, message, said):
    found = problem(assignment)
    assert found.source == "--set"
    assert message in found.message
    assert said in str(found)
    assert found.reason_code is Wrong.BAD_PARAMETER


def test_wrong_values_in_the_file_are_told():
    found = parameters(INPUTS, {"time_budget": "60", "verbose": 1, "rate": True, "dta": "x"})
    assert [(one.name, one.source) for one in found] == [
        ("time_budget", "pipeline.parameters"),
        ("verbose", "pipeline.parameters"),
        ("rate", "pipeline.parameters"),
        ("dta", "pipeline.parameters"),
        ("data", "pipeline.parameters"),
    ]
    assert "requires" in found[-1].message


def test_only_what_is_overridable_can_be_set_from_a_comment():
    assert values(("rate", "1"), overridable=("rate",))["rate"] == 1.0
    found = problem(("data", "s3://other"), overridable=("rate", "time_budget"))
    assert found.reason_code is Wrong.NOT_OVERRIDABLE
    assert found.expected == "one of rate, time_budget"
    assert "default branch" in found.hint
    assert problem(("rat", "1"), overridable=("rate",)).hint == "Did you mean rate?"
    assert problem(("rate", "1"), overridable=()).expected == "none: `overridable` is empty"


@given(st.sampled_from(INPUTS), st.text(max_size=20))
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_value_or_a_value_error(spec, text):
    try:
        from_text(spec, text)
    except ValueError:
        return


def file_with(*assignments, override=None):
    return load_tree(overridden(FILE, filename="kfops.yaml", override=override, assignments=assignments))


def told(*assignments, override=None):
    with pytest.raises(ConfigError) as caught:
        file_with(*assignments, override=override)
    (found,) = caught.value.problems
    return found


def test_dotted_set_is_typed_by_the_model_and_leaves_the_rest_alone():
    before, after = (
        file_with(),
        file_with(("deployment.canary.steps", "[10, 20]"), ("pipeline.cache", "false")),
    )
    assert after.deployment.canary.steps == (10, 20)
    assert after.pipeline.cache is False
    assert after.deployment.canary.hold == before.deployment.canary.hold
    assert after.pipeline.parameters == before.pipeline.parameters
    assert after.images == before.images


def test_set_of_one_parameter_keeps_the_others():
    assert file_with(("pipeline.parameters.rate", "0.5")).pipeline.parameters == {
        "data": "a.csv", "time_budget": 30, "rate": 0.5,
    }  # fmt: skip
    assert file_with(("time_budget", "9")).pipeline.parameters == {"data": "a.csv", "time_budget": 9}


def test_bare_name_of_a_section_is_a_parameter_and_of_a_value_is_the_key():
    file = file_with(("data", "b=c.csv"), ("model", "churn-2"))
    assert file.pipeline.parameters["data"] == "b=c.csv"
    assert file.model == "churn-2"
    assert file.data is None


def test_set_reaches_into_lists_and_new_sections():
    file = file_with(("images.build.1.context", "sub"), ("deployment.predictor.batcher.max_size", "8"))
    assert [image.context for image in file.images.build] == [".", "sub"]
    assert file.deployment.predictor.batcher.max_size == 8
    assert "0 to 1" in str(told(("images.build.7.name", "x")))


def test_errors_of_a_set_name_the_set():
    found = told(("deployment.canary.steps", "[20, 10]"))
    assert str(found.position) == "--set deployment.canary.steps=[20, 10]"
    found = told(("deployment.canry.steps", "[20]"))
    assert found.hint == "Did you mean canary?"
    found = told(("deployment.canary.hold", "5"))
    assert "5s, 5m or 5h" in found.hint
    found = told(("model", "&a"))
    assert found.path == "model"


def test_override_file_is_merged_deeply_and_lists_are_replaced():
    over = b"deployment: {canary: {steps: [1]}}\npipeline: {parameters: {rate: 0.5}}\n"
    file = file_with(override=(over, "mine.yaml"))
    assert file.deployment.canary.steps == (1,)
    assert file.deployment.canary.hold == file_with().deployment.canary.hold
    assert file.pipeline.parameters == {"data": "a.csv", "time_budget": 30, "rate": 0.5}
    assert file_with(("deployment.canary.steps", "[2]"), override=(over, "m")).deployment.canary.steps == (2,)


def test_errors_of_an_override_file_name_that_file():
    assert str(told(override=(b"model: Churn\n", "mine.yaml")).position) == "mine.yaml:1:8"
    assert (
        str(told(override=(b"deployment:\n  canary: {hld: 1m}\n", "mine.yaml")).position) == "mine.yaml:2:12"
    )
    assert str(told(override=(None, "mine.yaml")).position) == "mine.yaml:1:1"
