"""Pipelines on Kubeflow Pipelines 2: submitted, followed and read without ever waiting for one inside a call."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Protocol

from kfops.adapters.kubeflow.pods import PodTrouble, RunPods
from kfops.adapters.kubeflow.seen import error_of, status_of
from kfops.adapters.kubeflow.server import KubeflowServer
from kfops.adapters.kubeflow.storage import RunStorage
from kfops.domain.package import CompileFailure, Package
from kfops.domain.run import (
    ENDED,
    Failure,
    FailureKind,
    Progress,
    RunOutputs,
    RunState,
    RunStatus,
)
from kfops.domain.step_log import last_words, plain, progress_of, readable
from kfops.ports.clock import Clock
from kfops.ports.errors import Refused
from kfops.ports.pipelines import CompileOrder, RunOrder

_HINTS = {
    "OOMKilled": "ask for more with `.set_memory_limit(…)` on the step",
    "ImagePullBackOff": "look at the image's name and at the registry's credentials",
    "ErrImagePull": "look at the image's name and at the registry's credentials",
    "InvalidImageName": "mend the step's base_image",
    "QuotaExceeded": "wait for other runs to end, ask for less, or ask the operator for more",
}


class Compiles(Protocol):
    """Where pull-request code is compiled: never in the bot."""

    def compile(self, order: CompileOrder) -> Package | CompileFailure: ...


class KubeflowPipelines:
    """The port `Pipelines`. `pods` None: the namespace's pods may not be read, and failures have fewer words.

    `service_account`: what the steps run under; the operator's, limited to the repository's part of the bucket.
    """

    pulls_images = True

    def __init__(
        self,
        server: KubeflowServer,
        storage: RunStorage,
        compiler: Compiles,
        clock: Clock,
        *,
        pods: RunPods | None = None,
        service_account: str = "",
    ) -> None:
        self._server, self._storage, self._compiler, self._clock = server, storage, compiler, clock
        self._pods, self._service_account = pods, service_account

    def compile(self, order: CompileOrder) -> Package | CompileFailure:
        return self._compiler.compile(order)

    def submit(self, order: RunOrder) -> str:
        found = self._ordered(order)
        if found is not None:
            return found
        if hashlib.sha256(order.package.path.read_bytes()).hexdigest() != order.package.digest:
            raise Refused(f"the package {order.package.digest[:12]} was changed after it was compiled")
        parameters, root = self._storage.place(order)
        experiment = self._server.experiment(_experiment(order), order.labels.get("url", ""))
        order.hold()
        return self._ordered(order) or self._server.create_run(
            name=order.name,
            experiment_id=experiment,
            package=str(order.package.path),
            parameters=parameters,
            pipeline_root=root,
            is_cached=order.cache,
            service_account=self._service_account,
        )

    def _ordered(self, order: RunOrder) -> str | None:
        """The run of this very order, where there is one."""
        found = self._server.find_run(order.name)
        if found is not None and not self._storage.has_ordered(order):
            raise Refused(
                f"Kubeflow Pipelines has a run {order.name} already, which was not made from this package",
                fix="remove the runs of a former ledger from there, or give this bot a KFOPS_KUBEFLOW_NAMESPACE of its own",
            )
        return found

    def find(self, name: str) -> str | None:
        return self._server.find_run(name)

    def status(self, run_id: str) -> RunStatus:
        run = self._server.run(run_id)
        if run is None:
            raise Refused(f"there is no run {run_id}")
        names = self._storage.steps(run.display_name)
        seen = status_of(run, names, self._clock.now(), self._server.link(run_id))
        if seen.state is RunState.SUCCEEDED or seen.state is RunState.CANCELED:
            return seen
        trouble = self._pods.trouble(run_id) if self._pods else None
        if seen.state is RunState.FAILED:
            return replace(seen, failure=_failure(trouble, seen, error_of(run)))
        if trouble is not None and trouble.is_hopeless:
            # The server would show RUNNING for ever: nobody tells it that this pod cannot start.
            self._server.terminate(run_id)
            return replace(seen, state=RunState.FAILED, failure=_failure(trouble, seen, ""))
        return replace(seen, progress=self._progress(run_id, seen))

    def cancel(self, run_id: str) -> None:
        run = self._server.run(run_id)
        if run is None:
            raise Refused(f"there is no run {run_id}")
        if str(run.state) not in ENDED:
            self._server.terminate(run_id)

    def keep_one(self, name: str, run_id: str) -> None:
        for run in self._server.runs(name):
            if str(run.run_id) != run_id and str(run.state) not in ENDED:
                self._server.terminate(str(run.run_id))

    def outputs(self, run_id: str) -> RunOutputs:
        run = self._server.run(run_id)
        if run is None:
            raise Refused(f"there is no run {run_id}")
        if str(run.state) != RunState.SUCCEEDED:
            raise Refused(f"the run {run_id} is {run.state}; only a run that SUCCEEDED hands something over")
        return self._storage.outputs(run.display_name)

    def _progress(self, run_id: str, seen: RunStatus) -> Progress | None:
        running = next((step.name for step in seen.steps if step.state is RunState.RUNNING), None)
        if running is None or self._pods is None:
            return None
        lines = self._pods.lines(run_id, running.rpartition("/")[2])
        found = (progress_of(plain(line), running) for line in reversed(lines))
        return next((one for one in found if one is not None), None)


def _experiment(order: RunOrder) -> str:
    """One a model and pull request, as people look for it."""
    model = order.labels.get("model", order.package.name)
    number = order.labels.get("pull-request", "")
    return f"{model} PR #{number}" if number else model


def _failure(trouble: PodTrouble | None, seen: RunStatus, said: str) -> Failure:
    failed = next((step.name for step in seen.steps if step.state is RunState.FAILED), None)
    if trouble is None:
        return Failure(FailureKind.STEP if failed else FailureKind.BACKEND, said or "the run failed", failed)
    step = next((one.name for one in seen.steps if one.name.rpartition("/")[2] == trouble.step), failed)
    tail = readable(plain(line) for line in trouble.log)
    is_own = trouble.reason == "Error" and bool(tail)
    return Failure(
        kind=FailureKind.STEP if step else FailureKind.BACKEND,
        summary=(last_words(tail) if is_own else "") or f"{trouble.reason}: {trouble.sentence}",
        step=step,
        log_tail="\n".join(tail),
        hint=_HINTS.get(trouble.reason, ""),
    )
