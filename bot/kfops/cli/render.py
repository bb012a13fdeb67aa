"""What is printed at the end: values to JSON, and the same values to lines."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from typing import Any

from kfops.cli.desk import Job
from kfops.config.gate_result import GateResult, evaluate
from kfops.config.overrides import Parameters
from kfops.domain.package import Package
from kfops.domain.run import RunOutputs, RunStatus
from kfops.ports.data import DataSet
from kfops.ports.pipelines import RunOrder

Json = dict[str, Any]


def answer(content: Json, lines: Iterable[str], *, as_json: bool) -> None:
    """On standard output: one JSON object, or the lines."""
    if as_json:
        print(json.dumps({"ok": True, "exit_code": 0} | content, ensure_ascii=False, default=str))
    else:
        for line in lines:
            print(line)


def package_json(package: Package) -> Json:
    return {
        "name": package.name,
        "digest": package.digest,
        "path": str(package.path),
        "steps": [
            {"name": one.name, "kind": one.kind.value, "image": one.image, "after": list(one.after)}
            for one in package.steps
        ],
    }


def package_lines(package: Package) -> list[str]:
    steps = " → ".join(step.name for step in package.steps)
    return [f"package {package.digest[:12]} of {package.name}: {steps}", f"  {package.path}"]


def parameters_json(package: Package, values: Parameters) -> list[Json]:
    return [
        {
            "name": one.name,
            "type": one.type.value,
            "value": values.values.get(one.name, one.default),
            "from": _origin(one.name, values),
        }
        for one in package.inputs
    ]


def _origin(name: str, values: Parameters) -> str:
    if name in values.overridden:
        return "--set"
    return "kfops.yaml" if name in values.values else "the pipeline's default"


def _parameter_lines(found: list[Json]) -> list[str]:
    return [
        f"  {one['name']}: {one['type']} = {json.dumps(one['value'], ensure_ascii=False)}  ({one['from']})"
        for one in found
    ]


def images_json(job: Job) -> list[Json]:
    registry = f"{job.file.registry}/" if job.file.registry else ""
    return [
        {"image": f"{registry}{one.name}", "context": one.context, "dockerfile": one.dockerfile}
        for one in job.file.images.build
    ]


def request_json(job: Job, order: RunOrder) -> Json:
    """What the engine would be asked, without the name that each run gets anew."""
    engine = {"engine": "kubeflow", "url": job.kubeflow_url} if job.kubeflow_url else {"engine": "local"}
    return {
        **engine,
        "call": "submit",
        "package": order.package.digest,
        "parameters": dict(order.parameters),
        "timeout_seconds": order.timeout_s,
        "cache": order.cache,
        "data": [str(path) for path in order.data],
        "labels": dict(order.labels),
    }


def dry(job: Job, package: Package, values: Parameters, order: RunOrder | None) -> tuple[Json, list[str]]:
    """Everything that would be done, and nothing of it done. `order` None: nothing would be run."""
    import yaml

    found, images = parameters_json(package, values), images_json(job)
    requests = [request_json(job, order)] if order else []
    content: Json = {
        "dry_run": True,
        "configuration": job.content,
        "package": package_json(package),
        "images": images,
        "parameters": found,
        "requests": requests,
    }
    lines = ["configuration, with its overrides:"]
    text = yaml.safe_dump(job.content, sort_keys=False, allow_unicode=True)
    lines += [f"  {line}" for line in text.splitlines()]
    lines += ["", *package_lines(package), "", "images to build:"]
    lines += [f"  {one['image']} from {one['context']}/{one['dockerfile']}" for one in images] or ["  none"]
    lines += ["", "parameters:", *_parameter_lines(found), "", "requests that would be sent:"]
    lines += [f"  {json.dumps(one, ensure_ascii=False)}" for one in requests] or ["  none"]
    return content, [*lines, "", "Nothing was executed."]


def gates(job: Job, metrics: Mapping[str, float]) -> tuple[GateResult, ...]:
    """As without a champion: nothing serves on a desk."""
    return tuple(evaluate(gate, metrics, None) for gate in job.file.evidence.gates)


def run_json(run_id: str, status: RunStatus, package: Package, values: Parameters) -> Json:
    content: Json = {
        "run": run_id,
        "link": status.link,
        "state": status.state.value,
        "package": package_json(package),
        "parameters": parameters_json(package, values),
        "steps": [
            {"name": one.name, "state": one.state.value, "seconds": one.seconds} for one in status.steps
        ],
    }
    if status.failure is not None:
        failure = status.failure
        content["failure"] = {
            "kind": failure.kind.value,
            "step": failure.step,
            "summary": failure.summary,
            "path": failure.path,
            "line": failure.line,
            "log_tail": failure.log_tail,
            "hint": failure.hint,
        }
    return content


def outputs_json(outputs: RunOutputs, results: Iterable[GateResult]) -> Json:
    return {
        "metrics": dict(outputs.metrics),
        "model": str(outputs.model) if outputs.model else None,
        "model_digest": outputs.model_digest,
        "gates": [{"gate": one.gate, "passed": one.passed, "text": one.text} for one in results],
        "problems": list(outputs.problems),
    }


def outputs_lines(outputs: RunOutputs, results: Iterable[GateResult]) -> list[str]:
    lines = [f"  {name}: {value:.6g}" for name, value in sorted(outputs.metrics.items())]
    lines = ["metrics:", *lines] if lines else ["The run handed over no metrics."]
    lines += [f"gate {one.text}" for one in results]
    if outputs.model:
        lines.append(f"model {str(outputs.model_digest)[:12]}: {outputs.model}")
    return [*lines, *outputs.problems]


def failure_lines(run_id: str, status: RunStatus) -> list[str]:
    failure = status.failure
    if failure is None:
        return [f"The run {run_id} ended as {status.state.value.lower()}."]
    where = f"step {failure.step}" if failure.step else f"the run {run_id}"
    lines = [failure.log_tail.rstrip()] if failure.log_tail.strip() else []
    place = f" ({failure.path}:{failure.line})" if failure.path and failure.line else ""
    lines.append(f"{where} failed{place}: {failure.summary}")
    return [*lines, failure.hint] if failure.hint else lines


def data_set(found: DataSet) -> tuple[Json, list[str]]:
    profile = found.profile
    content: Json = {
        "name": found.name,
        "uri": found.uri,
        "digest": found.digest,
        "size_bytes": found.size_bytes,
        "rows": profile.rows,
        "columns": [{"name": one.name, "type": one.type, "missing": one.missing} for one in profile.columns],
        "warnings": list(found.warnings),
    }
    lines = [
        f"{found.name}: {profile.rows:,} rows, {len(profile.columns)} columns, sha256 {found.digest[:12]}",
        *(f"warning: {one}" for one in found.warnings),
        f"use it: kfc run --set data={found.uri}",
    ]
    return content, lines
