"""What `kfc check`, `build` and `run` do once everything is read."""

from __future__ import annotations

import sys

from kfops.cli import desk, render
from kfops.cli.desk import Job
from kfops.cli.exits import Exit, Stop
from kfops.cli.following import cancelled_by_ctrl_c, follow, screen
from kfops.config.check import check as warnings_of
from kfops.domain.package import Package
from kfops.domain.run import RunState
from kfops.ports.pipelines import Pipelines


def check(job: Job, pipelines: Pipelines | None, *, as_json: bool) -> None:
    """`pipelines` None: the configuration only."""
    warnings = [str(one) for one in warnings_of(job.file)]
    content: render.Json = {"warnings": warnings}
    lines = [f"warning: {one}" for one in warnings]
    if pipelines is not None:
        package = desk.compile_pipeline(job, pipelines)
        values = desk.run_parameters(job, package)
        content |= {
            "package": render.package_json(package),
            "parameters": render.parameters_json(package, values),
        }
        lines += render.package_lines(package)
    render.answer(content, [*lines, "kfops.yaml is right."], as_json=as_json)


def build(job: Job, package: Package, *, dry_run: bool, as_json: bool) -> None:
    values = desk.run_parameters(job, package)
    if dry_run:
        render.answer(*render.dry(job, package, values, None), as_json=as_json)
        return
    _without_images(job)
    desk.keep(job, package)
    render.answer({"package": render.package_json(package)}, render.package_lines(package), as_json=as_json)


def run(job: Job, pipelines: Pipelines, package: Package, *, dry_run: bool, as_json: bool) -> None:
    """Ends with Stop where the run fails or a gate does not hold."""
    values = desk.run_parameters(job, package)
    order = desk.run_order(job, package, values.values)
    if dry_run:
        render.answer(*render.dry(job, package, values, order), as_json=as_json)
        return
    _without_images(job)
    desk.keep(job, package)
    if not as_json:
        print("\n".join(render.package_lines(package)), file=sys.stderr)
    with cancelled_by_ctrl_c(pipelines, order.name):
        run_id = pipelines.submit(order)
        if job.kubeflow_url and not as_json:
            print(f"run {pipelines.status(run_id).link or run_id}", file=sys.stderr)
        status = follow(pipelines, run_id, screen(as_json=as_json))
    content = render.run_json(run_id, status, package, values)
    if status.state is not RunState.SUCCEEDED:
        raise Stop(Exit.RUN_FAILED, *render.failure_lines(run_id, status), detail=content)
    outputs = pipelines.outputs(run_id)
    results = render.gates(job, outputs.metrics)
    content |= render.outputs_json(outputs, results)
    lines = render.outputs_lines(outputs, results)
    if not all(one.holds for one in results):
        raise Stop(Exit.RUN_FAILED, *lines, detail=content)
    render.answer(content, lines, as_json=as_json)


def _without_images(job: Job) -> None:
    if job.file.images.build:
        names = ", ".join(one.name for one in job.file.images.build)
        said = "the pipeline file names others" if job.kubeflow_url else "local steps need none"
        print(f"images are not built here, {said}: {names}", file=sys.stderr)
