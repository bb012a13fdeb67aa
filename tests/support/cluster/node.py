"""A stand-in for what is missing beside the API server when a Job shall run: the Jobs' controller, the garbage collector,
and one node with a kubelet, whose logs the API server itself asks for.
"""

from __future__ import annotations

import contextlib
import ssl
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.support.cluster.api_server import ApiServer
from tests.support.cluster.pod_runner import PodRunner

from kfops.adapters.kubernetes.client import Conflict, Kubernetes
from kfops.ports.errors import Refused, Unavailable

Document = dict[str, Any]
_TICK_S = 0.03


@dataclass
class Node:
    """`instead`: the status that its pods get instead of being run. `hides`: a pod is made, and nothing further happens.
    `ran`: (pod, container) as they were started; `documents`: the Jobs, as pods were made of them.
    """

    server: ApiServer
    kubernetes: Kubernetes
    namespace: str
    folder: Path
    name: str
    instead: Document | None = None
    hides: bool = False
    looks_every_s: float = _TICK_S
    ran: list[tuple[str, str]] = field(default_factory=list)
    logs: dict[str, bytes] = field(default_factory=dict)
    documents: list[Document] = field(default_factory=list)
    problem: BaseException | None = None
    _began: dict[str, float] = field(default_factory=dict)
    _runners: dict[str, PodRunner] = field(default_factory=dict)
    _over: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)

    @property
    def jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def core(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}"

    def turn(self) -> None:
        for job in self.kubernetes.list(self.jobs):
            uid = job["metadata"]["uid"]
            try:
                if job["metadata"].get("deletionTimestamp"):
                    self._collect(job)
                elif uid not in self._began:
                    self._began[uid] = time.monotonic()
                    self._make_pod(job)
                elif not (job.get("status") or {}).get("conditions"):
                    self._look_at_the_time(job)
            except Conflict:
                continue

    def _make_pod(self, job: Document) -> None:
        self.documents.append(job)
        metadata = job["metadata"]
        template = job["spec"]["template"]
        owner = {"apiVersion": "batch/v1", "kind": "Job", "name": metadata["name"], "uid": metadata["uid"]}
        pod = {
            "metadata": {
                "name": f"{metadata['name']}-{metadata['uid'][:5]}",
                "labels": {**template["metadata"]["labels"], "job-name": metadata["name"]},
                "ownerReferences": [{**owner, "controller": True}],
            },
            "spec": {**template["spec"], "nodeName": self.name},
        }
        try:
            made = self.kubernetes.create(f"{self.core}/pods", pod)
        except Refused as error:
            self._say(job, "FailedCreate", f"Error creating: {error}")
            return
        thread = threading.Thread(target=self._run, args=(job, made), daemon=True)
        self._threads.append(thread)
        thread.start()

    def _say(self, job: Document, reason: str, message: str) -> None:
        metadata = job["metadata"]
        about = {"kind": "Job", "name": metadata["name"], "namespace": self.namespace, "uid": metadata["uid"]}
        event = {"metadata": {"generateName": "e-"}, "involvedObject": about, "type": "Warning"}
        self.kubernetes.create(f"{self.core}/events", {**event, "reason": reason, "message": message[:1000]})

    def _run(self, job: Document, pod: Document) -> None:
        try:
            with contextlib.suppress(Conflict):  # it was deleted meanwhile
                self._run_pod(job, pod)
        except BaseException as error:  # noqa: BLE001 - a thread must not die unseen
            self.problem = error

    def _run_pod(self, job: Document, pod: Document) -> None:
        name = pod["metadata"]["name"]
        if self.hides:
            return
        if self.instead is not None:
            self._status(name, self.instead)
            if self.instead.get("phase") == "Failed":
                self._end(job, "Failed", "BackoffLimitExceeded")
            return
        runner = PodRunner(self.kubernetes, pod, self.folder / pod["metadata"]["uid"])
        self._runners[job["metadata"]["uid"]] = runner
        while not runner.prepare():
            if self._over.wait(_TICK_S) or self.kubernetes.get(f"{self.core}/pods/{name}") is None:
                return
        first: list[Document] = []
        for container in pod["spec"].get("initContainers", ()):
            code = self._ran(runner, container)
            first.append(_ended(container["name"], code))
            if code:
                self._status(name, {"phase": "Failed", "initContainerStatuses": first})
                self._end(job, "Failed", "BackoffLimitExceeded")
                return
        main = pod["spec"]["containers"][0]
        running = _state(main["name"], {"running": {}})
        self._status(
            name, {"phase": "Running", "initContainerStatuses": first, "containerStatuses": [running]}
        )
        code = self._ran(runner, main)
        self._status(
            name,
            {
                "phase": "Failed" if code else "Succeeded",
                "initContainerStatuses": first,
                "containerStatuses": [_ended(main["name"], code)],
            },
        )
        self._end(job, "Failed" if code else "Complete", "BackoffLimitExceeded" if code else "")

    def _ran(self, runner: PodRunner, container: Document) -> int:
        name = runner.pod["metadata"]["name"]
        self.ran.append((name, container["name"]))
        code, log = runner.run(container)
        self.logs[f"{name}/{container['name']}"] = log
        return code

    def _status(self, pod: str, status: Document) -> None:
        self.kubernetes.patch(f"{self.core}/pods/{pod}/status", {"status": status})

    def _end(self, job: Document, kind: str, reason: str) -> None:
        condition = {"type": kind, "status": "True", "reason": reason}
        path = f"{self.jobs}/{job['metadata']['name']}/status"
        self.kubernetes.patch(path, {"status": {"conditions": [condition]}})

    def _look_at_the_time(self, job: Document) -> None:
        uid = job["metadata"]["uid"]
        if time.monotonic() - self._began[uid] < job["spec"]["activeDeadlineSeconds"]:
            return
        for pod in self._pods(job):
            self.kubernetes.delete(f"{self.core}/pods/{pod['metadata']['name']}?gracePeriodSeconds=0")
        self._stop(uid)
        self._end(job, "Failed", "DeadlineExceeded")

    def _pods(self, job: Document) -> list[Document]:
        return self.kubernetes.list(f"{self.core}/pods", {"job-name": job["metadata"]["name"]})

    def _stop(self, uid: str) -> None:
        if runner := self._runners.pop(uid, None):
            runner.stop()

    def _collect(self, job: Document) -> None:
        """What belongs to it goes first: it is deleted in the foreground."""
        name, uid = job["metadata"]["name"], job["metadata"]["uid"]
        self._stop(uid)
        for kind in ("pods", "configmaps"):
            for one in self.kubernetes.list(f"{self.core}/{kind}"):
                if any(owner["uid"] == uid for owner in one["metadata"].get("ownerReferences") or ()):
                    path = f"{self.core}/{kind}/{one['metadata']['name']}"
                    self.kubernetes.delete(f"{path}?gracePeriodSeconds=0" if kind == "pods" else path)
        self.kubernetes.patch(f"{self.jobs}/{name}", {"metadata": {"finalizers": None}})

    def work(self) -> None:
        while not self._over.is_set():
            try:
                self.turn()
            except Unavailable:
                continue
            except BaseException as error:  # noqa: BLE001 - a thread must not die unseen
                self.problem = error
                return
            self._over.wait(self.looks_every_s)

    def stop(self) -> None:
        self._over.set()
        for uid in list(self._runners):
            self._stop(uid)
        for thread in self._threads:
            thread.join(20)
        if self.problem is not None:
            raise self.problem


def _state(name: str, state: Document) -> Document:
    return {"name": name, "image": "i", "imageID": "", "ready": False, "restartCount": 0, "state": state}


def _ended(name: str, code: int) -> Document:
    return _state(
        name, {"terminated": {"exitCode": max(0, code), "reason": "Error" if code else "Completed"}}
    )


@contextmanager
def running(
    server: ApiServer, namespace: str | None = None, *, looks_every_s: float = _TICK_S
) -> Iterator[Node]:
    """A node for one namespace, a fresh one unless it is named."""
    with (
        closing(server.client()) as kubernetes,
        tempfile.TemporaryDirectory(prefix="kfops-node-") as folder,
    ):
        Path(folder).chmod(0o755)
        here = namespace or server.namespace("sandbox")
        name = f"node-{here}"[:60]
        node = Node(server, kubernetes, here, Path(folder), name, looks_every_s=looks_every_s)
        with _kubelet(node) as port:
            _register(kubernetes, node.name, port)
            worker = threading.Thread(target=node.work, daemon=True)
            worker.start()
            try:
                yield node
            finally:
                node.stop()
                worker.join(20)


def _register(kubernetes: Kubernetes, name: str, port: int) -> None:
    status = {
        "addresses": [{"type": "InternalIP", "address": "127.0.0.1"}],
        "daemonEndpoints": {"kubeletEndpoint": {"Port": port}},
    }
    with contextlib.suppress(Conflict):
        kubernetes.create("/api/v1/nodes", {"metadata": {"name": name}})
    kubernetes.patch(f"/api/v1/nodes/{name}/status", {"status": status})


@contextmanager
def _kubelet(node: Node) -> Iterator[int]:
    """Answers `/containerLogs/NAMESPACE/POD/CONTAINER` over TLS."""

    class Answers(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            url = urlsplit(self.path)
            asked = "/".join(url.path.split("/")[3:])
            most = parse_qs(url.query).get("limitBytes", ["-1"])[0]
            content = node.logs.get(asked, b"")
            content = content[: int(most)] if int(most) >= 0 else content
            self.send_response(200)
            self.send_header("content-type", "text/plain")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: object) -> None:
            """Nothing: tests are quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Answers)
    certificate = node.server.folder / "certs" / "apiserver.crt"
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, certificate.with_suffix(".key"))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield int(server.server_address[1])
    finally:
        server.shutdown()
        server.server_close()
        thread.join(10)
