"""Hostile repositories: compiled packages that ask a cluster for what is not theirs, played through compiling.

Every point of the corpus and where it is played: `tests/contract/README.md`.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
import yaml

from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.adapters.local.sandbox import NoSandbox
from kfops.domain.package import CompileFailure, Package
from kfops.ports.pipelines import CompileOrder


class Now:
    def now(self):
        return datetime.now(UTC)  # noqa: TID251 - a clock is what this is


def specification(image="python:3.11-slim"):
    """As KFP's compiler writes it: one step."""
    container = {"image": image, "command": ["python3", "-m", "kfp.dsl.executor_main"], "args": []}
    return {
        "pipelineInfo": {"name": "p"},
        "schemaVersion": "2.1.0",
        "root": {"dag": {"tasks": {"a": {"componentRef": {"name": "comp-a"}}}}},
        "components": {"comp-a": {"executorLabel": "exec-a"}},
        "deploymentSpec": {"executors": {"exec-a": {"container": container}}},
    }


def settings(**of_the_step):
    return {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-a": of_the_step}}}}}


def compiled(tmp_path, text):
    repository = tmp_path / "repository"
    repository.mkdir()
    (repository / "package.yaml").write_text(text)
    pipelines = LocalPipelines(tmp_path / "runs", NoSandbox(), Now())
    return pipelines.compile(CompileOrder(repository, "package.yaml", tmp_path / "packages"))


def written(*documents):
    return yaml.safe_dump_all(documents)


def test_the_plain_package_is_taken(tmp_path):
    harmless = settings(nodeSelector={"labels": {"disk": "fast"}})
    assert isinstance(compiled(tmp_path, written(specification(), harmless)), Package)


BOMB = "a: &a [x, x, x, x]\nb: &b [*a, *a, *a, *a]\nc: [*b, *b, *b, *b]\n"
TWO = specification() | {"root": {"dag": {"tasks": {}}}}


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (BOMB, "an anchor or an alias"),
        (written(specification()) + "x: &x 1\n", "an anchor or an alias"),
        ("!!python/object/apply:os.system ['true']\n", "not valid YAML"),
        ("[" * 100_000, "nested too deeply"),
        ("x" * (3 << 20), "has more than 2097152 bytes"),
        (written(specification(), TWO), "is no compiled pipeline"),
        (
            written(specification(), settings(secretAsEnv=[{"secretName": "kfops-app-key"}])),
            "wants the secret kfops-app-key",
        ),
        (
            written(
                specification(), settings(secretAsVolume=[{"secretName": "kfops-app-key", "mountPath": "/s"}])
            ),
            "wants the secret kfops-app-key",
        ),
        (
            written(
                specification(),
                settings(secretAsEnv=[{"secretNameParameter": {"componentInputParameter": "name"}}]),
            ),
            "whose name is an input",
        ),
        (
            written(specification(), settings(imagePullSecret=[{"secretName": "registry"}])),
            "wants the secret registry",
        ),
        (
            written(specification(), settings(serviceAccountName="kfops-bot")),
            "platform setting serviceAccountName, which the operator does not allow",
        ),
        (
            written(specification(), settings(hostPathMount=[{"hostPath": "/", "mountPath": "/host"}])),
            "platform setting hostPathMount, which the operator does not allow",
        ),
        (
            written(specification(), settings(pvcMount=[{"constant": "other-team", "mountPath": "/data"}])),
            "platform setting pvcMount, which the operator does not allow",
        ),
        (
            written(specification(), settings(configMapAsEnv=[{"configMapName": "kube-root-ca.crt"}])),
            "platform setting configMapAsEnv, which the operator does not allow",
        ),
        (
            written(specification(), settings(securityContext={"runAsUser": 0})),
            "platform setting securityContext, which the operator does not allow",
        ),
        (
            written(specification(), {"platforms": {"kubernetes": {"serviceAccountName": "kfops-bot"}}}),
            "the pipeline has the platform setting serviceAccountName",
        ),
        (
            written(
                specification(),
                {"platforms": {"other": settings(privileged=True)["platforms"]["kubernetes"]}},
            ),
            "expected those of kubernetes only",
        ),
    ],
    ids=lambda value: None if len(value) > 60 else value,
)
def test_r11_a_package_that_asks_for_what_is_not_its_own_is_refused_with_a_sentence(tmp_path, text, words):
    failure = compiled(tmp_path, text)
    assert isinstance(failure, CompileFailure), failure
    assert words in failure.summary
    assert failure.path == "package.yaml"
    assert not (tmp_path / "packages").exists()  # nothing of it is kept


def test_r11_a_setting_of_a_step_that_does_not_exist_is_held_against_the_list_too(tmp_path):
    ghost = {"platforms": {"kubernetes": {"deploymentSpec": {"executors": {"exec-ghost": {"tty": True}}}}}}
    failure = compiled(tmp_path, written(specification(), ghost))
    assert "step ghost has the platform setting tty" in failure.summary
