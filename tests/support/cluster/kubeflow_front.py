"""The API of Kubeflow Pipelines 2 in front of kfp.local: a submitted package really runs, and hands over through S3.

Every request and every answer is held against the API's own description. What runs is a run of `LocalPipelines`
without a sandbox, as the cluster is the sandbox there; its artifacts are put below the run's `pipeline_root` in the
layout that Kubeflow's launcher uses: PIPELINE/RUN/STEP/EXECUTION/ARTIFACT.
"""

from __future__ import annotations

import json
import threading
import uuid
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import uvicorn
import yaml
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from jsonschema import Draft4Validator

from kfops.adapters.local.digest import digest_of_file
from kfops.adapters.local.pipelines.adapter import LocalPipelines
from kfops.domain.package import Package
from kfops.domain.package_ir import read_package
from kfops.domain.run import ENDED, RunState
from kfops.ports.pipelines import RunOrder

Document = dict[str, Any]
Upload = Callable[[Path, str], None]


class Description:
    """Swagger 2.0, whose definitions are JSON Schema (draft 4) by and large."""

    def __init__(self, file: Path) -> None:
        self._whole = json.loads(file.read_text())

    def check(self, name: str, message: Any) -> None:
        """Raises ValueError with what does not fit; fields that the description does not know are wrong too."""
        schema = {"$ref": f"#/definitions/{name}", "definitions": self._whole["definitions"]}
        for problem in Draft4Validator(schema).iter_errors(message):
            raise ValueError(f"{name}: {problem.json_path}: {problem.message}")
        known = set(self._whole["definitions"][name].get("properties", {}))
        if isinstance(message, Mapping) and not set(message) <= known:
            raise ValueError(f"{name}: unknown fields {sorted(set(message) - known)}")


@dataclass
class Front:
    """What a test sees: what was submitted, and a place to break things."""

    folder: Path
    description: Description
    engine: LocalPipelines
    upload: Upload
    url: str = ""
    experiments: dict[str, Document] = field(default_factory=dict)
    runs: dict[str, Document] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    broken: int | None = None  # the status that every answer has, while set
    holding: set[str] = field(default_factory=set)  # runs that stay RUNNING whatever happens to their pods
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def submit(self, asked: Document) -> Document:
        run_id = str(uuid.uuid4())
        (self.folder / "packages").mkdir(parents=True, exist_ok=True)
        (self.folder / "source").mkdir(exist_ok=True)
        path = self.folder / "packages" / f"{run_id}.yaml"
        spec = asked["pipeline_spec"]
        documents = [
            spec.get("pipeline_spec", spec),
            *([spec["platform_spec"]] if "platform_spec" in spec else []),
        ]
        path.write_text(yaml.safe_dump_all(documents, sort_keys=False))
        package = Package(path, digest_of_file(path), read_package(path.read_text()))
        parameters = (asked.get("runtime_config") or {}).get("parameters") or {}
        self.engine.submit(
            RunOrder(run_id, package, self.folder / "source", _typed(package, parameters), 600.0)
        )
        self.runs[run_id] = {**asked, "run_id": run_id, "state": "PENDING", "created_at": _now()}
        return self.shown(run_id)

    def shown(self, run_id: str) -> Document:
        """As it is now, by the engine; a run that has succeeded has put its artifacts into the storage before."""
        run = self.runs[run_id]
        if run_id in self.holding or "finished_at" in run:
            return run
        seen = self.engine.status(run_id)
        run["state"] = seen.state.value
        run["run_details"] = {
            "task_details": [
                {"task_id": str(uuid.uuid4()), "run_id": run_id, "display_name": name, "state": state}
                | _times(state, seconds)
                for name, state, seconds in self._tasks(seen)
            ]
        }
        if seen.state is RunState.SUCCEEDED:
            self._hand_over(run_id, run)
        if seen.state in {RunState.SUCCEEDED, RunState.FAILED, RunState.CANCELED}:
            run["finished_at"] = _now()
        if seen.state is RunState.FAILED:
            run["error"] = {"code": 2, "message": "Component evaluate failed"}
        return run

    def terminate(self, run_id: str) -> None:
        if run_id in self.holding:
            self.holding.discard(run_id)
        self.engine.cancel(run_id)

    def _tasks(self, seen: Any) -> Iterator[tuple[str, str, float | None]]:
        yield "root", "RUNNING", 0.0  # the server lists its own tasks among the others
        for step in seen.steps:
            yield f"{step.name}-driver", "SUCCEEDED", 0.0
            yield step.name, step.state.value, step.seconds

    def _hand_over(self, run_id: str, run: Document) -> None:
        work = self.engine.log(run_id).parent / "work"
        root = run["runtime_config"]["pipeline_root"]
        package = read_package((self.folder / "packages" / f"{run_id}.yaml").read_text())
        folders = [one for one in work.iterdir() if one.name.startswith(package.name)]
        for step in package.steps:
            execution = uuid.uuid4().hex
            for artifact in step.outputs:
                found = folders[0] / step.component / artifact
                for file in (
                    [found] if found.is_file() else sorted(one for one in found.rglob("*") if one.is_file())
                ):
                    inside = "" if file == found else f"/{file.relative_to(found)}"
                    self.upload(
                        file, f"{root}/{package.name}/{run_id}/{step.name}/{execution}/{artifact}{inside}"
                    )


def _typed(package: Package, parameters: Mapping[str, Any]) -> Document:
    """JSON has one kind of number; the server casts by the parameter's type."""
    types = {one.name: one.type.value for one in package.inputs}
    return {name: int(value) if types.get(name) == "int" else value for name, value in parameters.items()}


def _times(state: str, seconds: float | None) -> Document:
    """What has not begun began in 1970, in the server's words."""
    if seconds is None:
        return {"create_time": _now(), "start_time": "1970-01-01T00:00:00Z"}
    began = {"create_time": _now(seconds), "start_time": _now(seconds)}
    return began | ({"end_time": _now()} if state in ENDED else {})


def _now(ago_s: float = 0.0) -> str:
    now = datetime.now(UTC)  # noqa: TID251 - the front is a server of its own
    return (now - timedelta(seconds=ago_s)).strftime("%Y-%m-%dT%H:%M:%SZ")


def create_app(front: Front) -> FastAPI:
    app = FastAPI()

    @app.middleware("http")
    async def recorded(request: Request, call_next: Any) -> Response:
        front.requests.append(f"{request.method} {request.url.path}")
        if front.broken is not None:
            return JSONResponse(
                {"error": "out of order", "code": 14, "message": "out of order"}, front.broken
            )
        answer: Response = await call_next(request)
        return answer

    @app.get("/apis/v2beta1/healthz")
    def health() -> Document:
        return _told(front, "v2beta1GetHealthzResponse", {"multi_user": False})

    @app.get("/apis/v2beta1/experiments")
    def experiments(filter: str = "") -> Document:  # noqa: A002 - the API's own word
        wanted = _wanted(filter)
        found = [one for one in front.experiments.values() if wanted in {None, one["display_name"]}]
        return _told(
            front, "v2beta1ListExperimentsResponse", {"experiments": found, "total_size": len(found)}
        )

    @app.post("/apis/v2beta1/experiments")
    async def new_experiment(request: Request) -> Response:
        asked = await request.json()
        problem = _problem(front, "v2beta1Experiment", asked)
        if problem:
            return problem
        made = {
            **asked,
            "experiment_id": str(uuid.uuid4()),
            "created_at": _now(),
            "storage_state": "AVAILABLE",
        }
        front.experiments[made["experiment_id"]] = made
        return JSONResponse(_told(front, "v2beta1Experiment", made))

    @app.get("/apis/v2beta1/runs")
    def runs(filter: str = "") -> Document:  # noqa: A002
        wanted = _wanted(filter)
        with front._lock:
            found = [
                front.shown(one) for one, run in front.runs.items() if wanted in {None, run["display_name"]}
            ]
        return _told(front, "v2beta1ListRunsResponse", {"runs": found, "total_size": len(found)})

    @app.post("/apis/v2beta1/runs")
    async def new_run(request: Request) -> Response:
        asked = await request.json()
        problem = _problem(front, "v2beta1Run", asked)
        if problem:
            return problem
        if asked.get("experiment_id") not in front.experiments:
            return _refused(404, 5, "experiment not found")
        with front._lock:
            return JSONResponse(_told(front, "v2beta1Run", front.submit(asked)))

    @app.get("/apis/v2beta1/runs/{run_id}")
    def run(run_id: str) -> Response:
        if run_id not in front.runs:
            return _refused(404, 5, f"run {run_id} not found")
        with front._lock:
            return JSONResponse(_told(front, "v2beta1Run", front.shown(run_id)))

    @app.post("/apis/v2beta1/runs/{run_id}:terminate")
    def terminate(run_id: str) -> Response:
        if run_id not in front.runs:
            return _refused(404, 5, f"run {run_id} not found")
        front.terminate(run_id)
        return JSONResponse({})

    return app


def _wanted(given: str) -> str | None:
    if not given:
        return None
    (predicate,) = json.loads(given)["predicates"]
    assert predicate["key"] in {"display_name", "name"}
    return str(predicate["string_value"] if "string_value" in predicate else predicate["stringValue"])


def _told(front: Front, name: str, message: Document) -> Document:
    front.description.check(name, message)
    return message


def _problem(front: Front, name: str, message: Any) -> Response | None:
    try:
        front.description.check(name, message)
    except ValueError as error:
        return _refused(400, 3, str(error))
    return None


def _refused(status: int, code: int, said: str) -> Response:
    return JSONResponse({"error": said, "code": code, "message": said, "details": []}, status)


@contextmanager
def running(front: Front) -> Iterator[Front]:
    server = uvicorn.Server(
        uvicorn.Config(create_app(front), host="127.0.0.1", port=0, log_level="warning", lifespan="off")
    )
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    try:
        while not server.started and thread.is_alive():
            thread.join(0.02)
        front.url = f"http://127.0.0.1:{server.servers[0].sockets[0].getsockname()[1]}"
        yield front
    finally:
        server.should_exit = True
        thread.join(10)
