"""The port `Models`: the in-memory engine and a real MLflow server must behave alike."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import httpx
import pyarrow.parquet
import pytest
from tests.support.in_memory.models import InMemoryModels

from kfops.adapters.mlflow.models import MlflowModels
from kfops.adapters.mlflow.server import MlflowServer
from kfops.domain.model_version import Alias, Artifact
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.models import Models, RunRecord

pytestmark = pytest.mark.xdist_group("mlflow")  # one server for all of them


@dataclass(frozen=True)
class Place:
    """An engine, and a way to damage what it keeps behind its back."""

    models: Models
    data: Path | None = None

    def corrupt(self, model: str, version: str, artifact: Artifact) -> None:
        if isinstance(self.models, InMemoryModels):
            self.models.corrupt(model, version, artifact)
            return
        found = self.models.version_of(model, version)
        assert found
        assert self.data
        (folder,) = (self.data / "artifacts").glob(f"*/{found.run_id}/artifacts/{artifact}")
        file = min(path for path in folder.rglob("*") if path.is_file())
        file.write_bytes(file.read_bytes() + b"!")


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[str, Path]]:
    folder = tmp_path_factory.mktemp("mlflow")
    server = MlflowServer(folder)
    try:
        yield server.ensure_running(), folder
    finally:
        server.shutdown()


@pytest.fixture(params=["memory", "mlflow"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    if request.param == "memory":
        yield Place(InMemoryModels())
        return
    url, data = request.getfixturevalue("server")
    models = MlflowModels(url)
    yield Place(models, data)
    models.close()


@pytest.fixture
def name() -> str:
    return f"churn-{uuid4().hex[:8]}"


def _run(name: str, folder: Path, operation: str = "op:1#run", content: str = "weights") -> RunRecord:
    made = folder / uuid4().hex
    model = made / "model"
    (model / "code" / "ünder score").mkdir(parents=True)
    (model / "MLmodel").write_text("flavors: {}\n")
    (model / "code" / "ünder score" / "model.pkl").write_text(content)
    (model / "code" / "__init__.py").write_bytes(b"")
    (made / "heldout.parquet").write_bytes(b"PAR1" + content.encode())
    (made / "profile").write_text('{"rows": 3}')
    return RunRecord(
        model=name,
        operation=operation,
        name="pr-7 abc1234 #1",
        started_at=datetime(2026, 11, 21, 10, 0, tzinfo=UTC),
        ended_at=datetime(2026, 11, 21, 10, 2, tzinfo=UTC),
        artifacts={
            Artifact.MODEL: model,
            Artifact.HELDOUT: made / "heldout.parquet",
            Artifact.PROFILE: made / "profile",
        },
        parameters={"time_budget": "60", "data": "data/churn.csv"},
        metrics={"roc_auc": 0.85, "broken": float("nan")},
        tags={"git_commit": "a" * 40, "pr": "7", "kfops.run_id": "r1", "requested_by": "ann"},
        description="Pull request #7",
    )


def test_a_run_is_recorded_with_its_evidence(place: Place, name: str, tmp_path: Path) -> None:
    made = place.models.record(_run(name, tmp_path))
    read = place.models.version_of(name, made.version)
    assert read == made
    assert (made.model, made.version) == (name, "1")
    assert made.metrics == {"roc_auc": 0.85}
    assert made.parameters == {"time_budget": "60", "data": "data/churn.csv"}
    assert (
        made.tags.items()
        >= {"git_commit": "a" * 40, "pr": "7", "requested_by": "ann", "digest": made.digest}.items()
    )
    assert len(made.digest) == 64
    assert made.link.endswith(f"/{name}/versions/1")
    assert made.run_link
    assert made.run_id


def test_the_same_operation_is_recorded_once(place: Place, name: str, tmp_path: Path) -> None:
    run = _run(name, tmp_path)
    first = place.models.record(run)
    assert place.models.record(run) == first
    assert place.models.version_of(name, "2") is None


def test_an_operation_cannot_change_its_model(place: Place, name: str, tmp_path: Path) -> None:
    place.models.record(_run(name, tmp_path))
    with pytest.raises(Refused, match="was recorded with model"):
        place.models.record(_run(name, tmp_path, content="other weights"))


def test_another_operation_makes_the_next_version(place: Place, name: str, tmp_path: Path) -> None:
    first = place.models.record(_run(name, tmp_path))
    second = place.models.record(_run(name, tmp_path, operation="op:2"))
    assert (second.version, second.digest) == ("2", first.digest)
    assert second.run_id != first.run_id


def test_what_was_recorded_comes_back_byte_for_byte(place: Place, name: str, tmp_path: Path) -> None:
    run = _run(name, tmp_path)
    made = place.models.record(run)
    into = tmp_path / "into"
    for _ in range(2):
        model = place.models.fetch(name, made.version, Artifact.MODEL, into)
        assert model == into / "model"
        assert (model / "code" / "ünder score" / "model.pkl").read_text() == "weights"
        assert (model / "code" / "__init__.py").read_bytes() == b""
    heldout = place.models.fetch(name, made.version, Artifact.HELDOUT, into)
    assert heldout == into / "heldout.parquet"
    assert heldout.read_bytes() == run.artifacts[Artifact.HELDOUT].read_bytes()
    assert place.models.fetch(name, made.version, Artifact.PROFILE, into) == into / "profile"
    assert place.models.fetch(name, made.version, Artifact.TRAINING_ROWS, into) is None
    assert sorted(path.name for path in into.iterdir()) == ["heldout.parquet", "model", "profile"]


@pytest.mark.parametrize("artifact", [Artifact.MODEL, Artifact.HELDOUT])
def test_damaged_content_is_refused(place: Place, name: str, tmp_path: Path, artifact: Artifact) -> None:
    made = place.models.record(_run(name, tmp_path))
    place.corrupt(name, made.version, artifact)
    into = tmp_path / "into"
    with pytest.raises(Refused, match="digest"):
        place.models.fetch(name, made.version, artifact, into)
    assert list(into.iterdir()) == []


def test_aliases_move_and_go(place: Place, name: str, tmp_path: Path) -> None:
    models = place.models
    assert models.by_alias(name, Alias.CHAMPION) is None
    models.set_alias(name, Alias.CHAMPION, None)
    first = models.record(_run(name, tmp_path))
    second = models.record(_run(name, tmp_path, operation="op:2"))
    models.set_alias(name, Alias.CHAMPION, first.version)
    assert models.by_alias(name, Alias.CHAMPION) == first
    assert models.by_alias(name, Alias.STAGING) is None
    models.set_alias(name, Alias.CHAMPION, second.version)
    assert models.by_alias(name, Alias.CHAMPION) == second
    for _ in range(2):
        models.set_alias(name, Alias.CHAMPION, None)
        assert models.by_alias(name, Alias.CHAMPION) is None


def test_tags_are_added_and_identity_stays(place: Place, name: str, tmp_path: Path) -> None:
    made = place.models.record(_run(name, tmp_path))
    place.models.tag(name, made.version, {"deployed_by": "bob", "pr": "8", "digest": made.digest})
    tagged = place.models.version_of(name, made.version)
    assert tagged == replace(made, tags={**made.tags, "deployed_by": "bob", "pr": "8"})
    with pytest.raises(Refused, match="identity"):
        place.models.tag(name, made.version, {"digest": "0" * 64})


def test_a_version_is_adopted_by_all_of_its_tags(place: Place, name: str, tmp_path: Path) -> None:
    assert place.models.adopt(name, {"pr": "7"}) is None
    place.models.record(_run(name, tmp_path))
    newest = place.models.record(_run(name, tmp_path, operation="op:2"))
    assert place.models.adopt(name, {"pr": "7", "git_commit": "a" * 40}) == newest
    assert place.models.adopt(name, {"pr": "7", "git_commit": "b" * 40}) is None


@pytest.mark.parametrize("version", ["1", "0", "newest", ""])
def test_what_is_not_there_is_said(place: Place, name: str, version: str, tmp_path: Path) -> None:
    assert place.models.version_of(name, version) is None
    with pytest.raises(Refused, match="no version"):
        place.models.set_alias(name, Alias.STAGING, version)
    with pytest.raises(Refused, match="no version"):
        place.models.tag(name, version, {"a": "b"})
    with pytest.raises(Refused, match="no version"):
        place.models.fetch(name, version, Artifact.MODEL, tmp_path)


def test_links_are_never_followed(place: Place, name: str, tmp_path: Path) -> None:
    run = _run(name, tmp_path)
    link = run.artifacts[Artifact.MODEL] / "passwd"
    link.symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="a link"):
        place.models.record(run)
    link.unlink()
    heldout = run.artifacts[Artifact.HELDOUT]
    heldout.unlink()
    heldout.symlink_to("/etc/passwd")
    with pytest.raises(Refused, match="regular file"):
        place.models.record(run)
    assert place.models.version_of(name, "1") is None


@pytest.mark.parametrize("artifact", [None, Artifact.MODEL])
def test_a_run_without_a_model_is_refused(
    place: Place, name: str, tmp_path: Path, artifact: Artifact | None
) -> None:
    run = _run(name, tmp_path)
    if artifact is None:
        run = replace(run, artifacts={})
    else:
        shutil.rmtree(run.artifacts[artifact])
    with pytest.raises(Refused, match="model"):
        place.models.record(run)


@pytest.mark.parametrize("calls", range(12))
def test_a_crash_between_any_two_calls_doubles_nothing(
    server: tuple[str, Path], name: str, tmp_path: Path, calls: int
) -> None:
    """The server goes away after `calls` calls; the next attempt, with a new client, completes the same version."""
    url, _ = server
    run = _run(name, tmp_path)
    crashing = MlflowModels(url)
    transport = _DyingTransport(calls)
    crashing._rest._client._mounts = {}
    crashing._rest._client._transport = transport
    with pytest.raises(Unavailable):
        crashing.record(run)
    crashing.close()
    models = MlflowModels(url)
    made = models.record(run)
    assert made.version == "1"
    assert models.version_of(name, "2") is None
    assert models.fetch(name, "1", Artifact.MODEL, tmp_path)
    experiment = models._rest.get("experiments/get-by-name", experiment_name=name)["experiment"][
        "experiment_id"
    ]
    runs = models._rest.post("runs/search", {"experiment_ids": [experiment]})["runs"]
    assert [found["info"]["run_id"] for found in runs] == [made.run_id]
    assert runs[0]["info"]["status"] == "FINISHED"
    assert len(runs[0]["data"]["metrics"]) == 1
    models.close()


class _DyingTransport(httpx.HTTPTransport):
    def __init__(self, calls: int) -> None:
        super().__init__()
        self._left = calls

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        if self._left == 0:
            raise httpx.ConnectError("gone")
        self._left -= 1
        return super().handle_request(request)


TEMPLATE = Path(__file__).parents[2] / "pipeline_template"
RULE = """
class Rule:
    def predict(self, rows, params=None):
        return ["Yes" if months < LEAST else "No" for months in rows["tenure"]]

def _load_pyfunc(path):
    return Rule()
"""
MLMODEL = """\
flavors:
  python_function: {loader_module: rule, code: code, python_version: 3.11.0}
signature:
  inputs: '[{"type": "double", "name": "tenure", "required": true}]'
  outputs: '[{"type": "string", "required": true}]'
  params: null
"""


def _leaves_before(months: int, run: RunRecord) -> RunRecord:
    """A model that anybody understands."""
    model = run.artifacts[Artifact.MODEL]
    shutil.rmtree(model)
    (model / "code").mkdir(parents=True)
    (model / "code" / "rule.py").write_text(RULE.replace("LEAST", str(months)))
    (model / "MLmodel").write_text(MLMODEL)
    return run


def test_the_templates_batch_scores_a_table_with_the_version_that_serves_production(
    server: tuple[str, Path], name: str, tmp_path: Path
) -> None:
    with closing(MlflowModels(server[0])) as models:
        for operation, months in (("op:1", 10), ("op:2", 100)):
            models.record(_leaves_before(months, _run(name, tmp_path, operation)))
        models.set_alias(name, Alias.CHAMPION, "1")
        models.set_alias(name, Alias.CHALLENGER, "2")
    (tmp_path / "table.csv").write_text("customer_id,tenure\na,3\nb,30\n")
    script = TEMPLATE / "examples" / "batch_scoring.py"
    words = [
        "--mlflow",
        server[0],
        "--model",
        name,
        "--table",
        str(tmp_path / "table.csv"),
        "--keep",
        "customer_id",
    ]

    done = subprocess.run(
        [sys.executable, str(script), *words],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
        timeout=180,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    (found,) = (tmp_path / "predictions").glob("*/score-table/predictions")
    table = pyarrow.parquet.read_table(found).to_pydict()
    assert {one: table[one] for one in ("customer_id", "prediction")} == {
        "customer_id": ["a", "b"],
        "prediction": ["Yes", "No"],
    }
    assert f"2 rows scored by {name} version 1" in done.stdout
