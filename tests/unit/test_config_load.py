"""kfops.yaml: what is understood, and what every kind of bad input is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfops.config.check import check
from kfops.config.errors import ConfigError
from kfops.config.load import load, rules_edited, rules_of, work_of
from kfops.config.meaning import Environment
from kfops.config.plan import rollout_plan
from kfops.config.tree import LARGEST
from kfops.config.who import Who
from kfops.domain.pull_request import Permission
from kfops.domain.rollout import RolloutPlan

SMALLEST = "version: 1\npipeline: {source: pipeline.py}\nmodel: churn\n"

WHOLE = """\
version: 1
pipeline:
  source: pipeline.py
  parameters: {data: data/churn.csv, time_budget: 60, rate: 1e-3, answer: yes, at: 12:30}
  timeout: 90m
data: {target: churn, task: classification}
images:
  build: [{name: trainer}]
samples: {request: samples/request.json}
model: churn
registry: registry.example.com/ml
overridable: [time_budget]
evidence:
  primary: roc_auc
  gates: ["roc_auc >= 0.80", "roc_auc >= champion - 0.005"]
deployment:
  canary: {steps: [10, 50], hold: 1m}
  environments:
    staging: {namespace: churn-staging}
    production: {namespace: churn}
    batch: {namespace: churn-batch, requires: [], merge: rebase}
permissions:
  deploy: {teams: [ml-leads, acme/on-call]}
"""


def problems(content):
    with pytest.raises(ConfigError) as caught:
        load(content)
    return caught.value.problems


def refusals(content):
    try:
        load(content)
    except ConfigError as wrong:
        return wrong.problems
    return ()


def only_problem(content):
    (problem,) = problems(content)
    return problem


def test_smallest_file_has_defaults():
    work, rules = work_of(SMALLEST), rules_of(SMALLEST, repository_name="acme/churn")
    assert work.pipeline.timeout == timedelta(hours=2)
    assert work.pipeline.cache
    assert rules.model == "churn"
    assert rules.is_adopted
    assert rules.canary.steps == (5, 25, 50)
    assert rules.environments == (
        Environment("staging", "churn-staging"),
        Environment(
            "production", "churn", frozenset({"staging", "approval", "checks", "up-to-date"}), "squash"
        ),
    )
    assert rules.permissions["deploy"] == (Who(Permission.MAINTAIN),)


def test_whole_file_is_meant_as_written():
    work, rules = work_of(WHOLE), rules_of(WHOLE, repository_name="acme/churn")
    assert work.pipeline.timeout == timedelta(minutes=90)
    assert work.pipeline.parameters == {
        "data": "data/churn.csv",
        "time_budget": 60,
        "rate": 0.001,
        "answer": "yes",
        "at": "12:30",
    }
    assert work.images[0].dockerfile == "Dockerfile"
    assert work.sample_request == "samples/request.json"
    assert [gate.text for gate in rules.gates] == ["roc_auc >= 0.80", "roc_auc >= champion - 0.005"]
    assert rules.canary.hold == timedelta(minutes=1)
    assert rules.environment("batch") == Environment("batch", "churn-batch", frozenset(), "rebase")
    assert rules.environment("moon") is None
    assert rules.permissions["deploy"][0].teams == ("ml-leads", "acme/on-call")


def test_unnamed_environments_are_careful():
    text = SMALLEST + "deployment: {environments: {eu: {namespace: eu}, production: {namespace: us}}}\n"
    rules = rules_of(text, repository_name="acme/churn")
    assert rules.environment("eu") == Environment("eu", "eu", frozenset({"approval", "checks", "up-to-date"}))
    assert rules.environment("production").requires == {"approval", "checks", "up-to-date"}


def test_adoption_no_file_on_the_default_branch():
    rules = rules_of(None, repository_name="acme/2024_Churn.Model")
    assert not rules.is_adopted
    assert rules.model == "churn-model"
    assert rules.overridable == ()
    assert rules_of(None, repository_name="acme/___").model == "model"


def test_r10_rules_and_work_have_two_sources():
    broken_work = WHOLE.replace("source: pipeline.py", "sauce: pipeline.py")
    assert rules_of(broken_work, repository_name="acme/churn").model == "churn"
    with pytest.raises(ConfigError):
        work_of(broken_work)
    with pytest.raises(ConfigError):
        rules_of(WHOLE.replace("steps: [10, 50]", "steps: [50, 10]"), repository_name="acme/churn")


def test_rules_edited_names_the_keys():
    edited = WHOLE.replace("hold: 1m", "hold: 2m").replace("[time_budget]", "[time_budget, data]")
    assert rules_edited(edited, WHOLE) == ("overridable", "deployment.canary.hold")
    assert rules_edited(WHOLE.replace("teams: [ml-leads, ", "teams: ["), WHOLE) == (
        "permissions.deploy.teams",
    )
    assert rules_edited(WHOLE.replace("timeout: 90m", "timeout: 80m"), WHOLE) == ()
    assert rules_edited(WHOLE + "models: {registered_by: bot}\n", WHOLE) == ()
    assert rules_edited(
        WHOLE.replace("{namespace: churn-batch, requires: [], merge: rebase}", "{namespace: b}"), WHOLE
    ) == (
        "deployment.environments.batch.namespace",
        "deployment.environments.batch.requires",
        "deployment.environments.batch.merge",
    )
    assert rules_edited(SMALLEST, None) == ("model",)
    assert rules_edited(SMALLEST, "nonsense: [") == ("model",)


FILES = {
    "missing": (None, 1, 1, "no such file"),
    "empty": ("", 1, 1, "empty"),
    "blank": (" \n\n", 1, 1, "empty"),
    "comments only": ("# nothing\n", 1, 1, "no keys"),
    "text": ("hello", 1, 1, "no keys"),
    "list": ("- a", 1, 1, "no keys"),
    "huge": ("a" * (LARGEST + 1), 1, 1, "too large"),
    "not UTF-8": (b"version: 1\nmodel: \xff\n", 2, 8, "UTF-8"),
    "UTF-16": ("version: 1".encode("utf-16"), 1, 1, "UTF-8"),
    "control character": ("version: 1\nmodel: \x07\n", 2, 8, "does not allow"),
    "not YAML": ("version: 1\nmodel: [a\n", 3, 1, "not YAML"),
    "tab": ("version: 1\npipeline:\n\tsource: a\n", 3, 1, "not YAML"),
    "aliases": ("a: &x [1]\nb: *x\n", 1, 4, "anchors"),
    "billion laughs": ("a: &a [x,x]\nb: &b [*a,*a]\n", 1, 4, "anchors"),
    "merge key": ("a: 1\n<<: *x\n", 2, 5, "anchors"),
    "tag": ("a: !!python/object/apply:os.system [id]\n", 1, 4, "tags"),
    "two documents": ("a: 1\n---\nb: 1\n", 2, 1, "second document"),
    "deep": ("a: " + "[" * 200, 1, 28, "too deeply"),
    "key twice": ("version: 1\nmodel: a\nmodel: b\n", 3, 1, "first in line 2"),
    "key that is a number": ("1: a\n", 1, 1, "no text"),
    "key that is a list": ("? [a]\n: b\n", 1, 3, "no text"),
    "half a character": ('a: "\\ud800"\n', 1, 4, "half a character"),
}


@pytest.mark.parametrize(("content", "line", "column", "message"), FILES.values(), ids=FILES)
def test_bad_files(content, line, column, message):
    problem = only_problem(content)
    assert (problem.position.line, problem.position.column) == (line, column)
    assert message in problem.message


def test_byte_order_mark_is_no_harm():
    assert load(b"\xef\xbb\xbf" + SMALLEST.encode()).model == "churn"


VALUES = {
    "unknown key": ("modle: churn", "modle", 4, 1, "Did you mean model?"),
    "unknown key far away": ("deployment: {canary: {stepz: [5]}}", "deployment.canary.stepz", 4, 23, "Did you mean steps?"),
    "unknown key near nothing": ("zzzzzz: 1", "zzzzzz", 4, 1, "expected one of version, pipeline"),
    "duration without unit": ("deployment: {canary: {hold: 5}}", "deployment.canary.hold", 4, 29, "5s, 5m or 5h"),
    "negative duration": ("deployment: {canary: {hold: -5m}}", "deployment.canary.hold", 4, 29, "a duration such as"),
    "no timeout": ("deployment: {check: {timeout: 0s}}", "deployment.check.timeout", 4, 31, "longer than 0s"),
    "text for a number": ('deployment: {canary: {min_requests: "400"}}', "deployment.canary.min_requests", 4, 37, "whole number"),
    "fraction for a number": ("deployment: {predictor: {gpu: 0.5}}", "deployment.predictor.gpu", 4, 31, "whole number"),
    "text for a boolean": ("models: {registered_by: on}", "models.registered_by", 4, 25, "'bot' or 'pipeline'"),
    "misspelt choice": ("models: {registered_by: pipline}", "models.registered_by", 4, 25, "Did you mean pipeline?"),
    "not finite": ("deployment: {canary: {max_error_increase: .inf}}", "deployment.canary.max_error_increase", 4, 43, "a number"),
    "overflowing": ("deployment: {canary: {max_error_increase: 1e999}}", "deployment.canary.max_error_increase", 4, 43, "a number"),
    "out of range": ("deployment: {canary: {max_error_increase: 1.5}}", "deployment.canary.max_error_increase", 4, 43, "less than 1"),
    "falling steps": ("deployment: {canary: {steps: [50, 5]}}", "deployment.canary.steps", 4, 30, "rise"),
    "hundred per cent": ("deployment: {canary: {steps: [5, 100]}}", "deployment.canary.steps[1]", 4, 34, "99 or less"),
    "no steps": ("deployment: {canary: {steps: []}}", "deployment.canary.steps", 4, 30, "at least 1"),
    "list for keys": ("evidence: [a]", "evidence", 4, 11, "keys and values"),
    "nothing for keys": ("evidence:", "evidence", 4, 10, "keys and values"),
    "model's name": ("registry: https://x", "registry", 4, 11, "without https://"),
    "role": ("permissions: {run: wrte}", "permissions.run", 4, 20, "a role"),
    "nobody": ("permissions: {run: {teams: []}}", "permissions.run", 4, 20, "a role"),
    "role and teams": ("permissions: {run: {teams: [a], role: b}}", "permissions.run", 4, 20, "a role"),
    "cron": ('schedule: {retrain: "0 25 * * *"}', "schedule.retrain", 4, 24, "from 0 to 23 for the hour"),
    "cron of four": ('schedule: {retrain: "0 3 * *"}', "schedule.retrain", 4, 22, "five fields"),
    "cron with a step of nothing": ('schedule: {retrain: "*/0 3 * * *"}', "schedule.retrain", 4, 22, "0 to 59 for the minute"),
    "cron of a day that never comes": ("schedule: {retrain: 0 3 30 FEB *}", "schedule.retrain", 4, 25, "there is in that month"),
    "cron with seconds": ('schedule: {retrain: "0 0 3 * * 1"}', "schedule.retrain", 4, 22, "five fields"),
    "cron with a name": ('schedule: {retrain: "0 3 * * MOO"}', "schedule.retrain", 4, 30, "SUN to SAT"),
    "path that leaves": ("samples: {request: ../x.json}", "samples.request", 4, 20, "without '..'"),
    "absolute path": ("samples: {request: /etc/passwd}", "samples.request", 4, 20, "inside the repository"),
    "environment's name": ("deployment: {environments: {a b: {namespace: x}}}", "deployment.environments.a b", 4, 29, "letters, digits"),
    "memory": ("deployment: {predictor: {resources: {memory: 2GB}}}", "deployment.predictor.resources.memory", 4, 46, "512Mi"),
    "no processor": ("deployment: {predictor: {resources: {cpu: 0}}}", "deployment.predictor.resources.cpu", 4, 43, "a number of processors"),
    "replicas": ("deployment: {predictor: {replicas: {min: 5}}}", "deployment.predictor.replicas", 4, 36, "min ≤ max"),
    "two of one namespace": (
        "deployment: {environments: {a: {namespace: x}, b: {namespace: x}}}",
        "deployment.environments.b.namespace", 4, 63, "of its own",
    ),
    "staging before itself": (
        "deployment: {environments: {staging: {namespace: x, requires: [staging]}}}",
        "deployment.environments.staging.requires", 4, 63, "another environment",
    ),
    "staging that is not there": (
        "deployment: {environments: {production: {namespace: x, requires: [staging]}}}",
        "deployment.environments.production.requires", 4, 66, "another environment",
    ),
    "data without a task": ("data: {target: x}", "data.task", 4, 1, "the key task"),
    "target that is ignored": ("data: {task: regression, target: x, ignore_columns: [x]}", "data.ignore_columns", 4, 53, "other columns"),
    "image twice": ("images: {build: [{name: a}, {name: a}]}", "images.build[1].name", 4, 36, "of its own"),
}  # fmt: skip


@pytest.mark.parametrize(("line", "path", "at_line", "at_column", "said"), VALUES.values(), ids=VALUES)
def test_bad_values(line, path, at_line, at_column, said):
    problem = only_problem(SMALLEST + line + "\n")
    assert problem.path == path
    assert (problem.position.line, problem.position.column) == (at_line, at_column)
    assert said in str(problem)


def test_gate_points_into_the_expression():
    text = SMALLEST + 'evidence:\n  gates:\n    - "auc >="\n    - auc >= 0.8 +* 2\n    - auc >= champoin\n'
    found = problems(text)
    assert [(one.position.line, one.position.column, one.path) for one in found] == [
        (6, 14, "evidence.gates[0]"),
        (7, 19, "evidence.gates[1]"),
        (8, 14, "evidence.gates[2]"),
    ]
    assert "did you mean champion?" in found[2].expected


def test_everything_wrong_is_said_at_once_in_the_order_of_the_text():
    text = "version: 2\npipeline: {source: pipeline.py, cahce: true}\nmodel: Churn\nfoo: 1\n"
    assert [one.path for one in problems(text)] == ["version", "pipeline.cahce", "model", "foo"]


def test_message_has_file_line_column_found_expected_and_hint():
    (problem,) = problems(SMALLEST.replace("model: churn", "model: Churn_1"))
    assert str(problem) == (
        "kfops.yaml:3:8: model: a wrong value (found “Churn_1”, expected lower-case letters, digits and '-', "
        "starting with a letter, at most 63 characters)"
    )


@given(st.binary(max_size=200))
@settings(max_examples=200, deadline=None)
def test_bytes_never_raise_anything_else(content):
    assert all(problem.message for problem in refusals(content))


_PIECES = ["version: 1", "pipeline:", "  source: p.py", "model: churn", "deployment:", "  canary:", "    hold: 5m", "a", ": ", "- ", "[", "]",
           "{", "}", '"', "'", "\n", "  ", "|", ">", "&a ", "*a", "!!x ", "---", "#", "? ", "%", "@", "`", "\t", "\r", "é", "\x85"]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=25).map("".join))
@settings(max_examples=300, deadline=None)
def test_near_yaml_never_raises_anything_else(content):
    assert all(problem.message for problem in refusals(content))


def test_warnings():
    assert check(load(WHOLE)) == ()
    text = SMALLEST + (
        "evidence: {primary: auc}\nimages: {build: [{name: a}]}\ndata: {task: regression, target: y}\n"
        "deployment:\n  canary: {min_requests: 299, patience: 2s, hold: 5s}\n"
        "  environments: {production: {namespace: x, requires: [checks], merge: merge}}\n"
    )
    assert [one.path for one in check(load(text))] == [
        "deployment.canary.min_requests",
        "deployment.canary.patience",
        "deployment.canary.hold",
        "evidence.gates",
        "data.parameter",
        "images.build",
        "deployment.environments.production.requires",
    ]
    (first, *_) = check(load(text))
    assert "300" in first.hint


def test_rollout_plan_has_the_teams_bounds():
    rules = rules_of(WHOLE, repository_name="acme/churn")
    plan = rollout_plan(rules, rules.environment("staging"), is_first=True)
    assert (plan.steps, plan.hold, plan.is_first, plan.merges) == (
        (10, 50),
        timedelta(minutes=1),
        True,
        False,
    )
    assert rollout_plan(rules, rules.environment("production"), is_first=False).merges


def test_defaults_of_the_file_and_of_the_rollout_are_one():
    rules = rules_of(SMALLEST, repository_name="acme/churn")
    assert rollout_plan(rules, rules.environment("production"), is_first=False) == RolloutPlan()
