"""The documents of one piece of foreign work on a cluster: a Job, and the ConfigMap that it starts from. Pure."""

from __future__ import annotations

import base64
import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kfops.adapters.kubernetes.sandbox.packing import Packed
from kfops.adapters.local.short_work import ShortWork

Document = dict[str, Any]

MAIN, SOURCE = "work", "source"
PURPOSE, FETCHES = "kfops.dev/purpose", "kfops.dev/source"
SMALL_BYTES = 900 << 10
"""What goes into a ConfigMap, which holds 1 MiB with all that is beside it."""
LARGEST_ARCHIVE = 1 << 30
SAID = Path("/told/said")
"""Where a file with what the work is told is packed to."""
GIVEN, UNPACKED = "/kfops-job", "/kfops-source"
_KEPT_S = 600
_MIB = 1 << 20
_MOST_MEMORY = 4 << 30
_FIRST_USER, _USERS = 100_000, 400_000


@dataclass(frozen=True)
class Place:
    """`image` has `python` with what the bot itself is installed with. `starts_within_s`: for a node to be found and
    the image to be pulled.
    """

    namespace: str
    image: str
    starts_within_s: float = 300.0
    account: str = "sandbox"

    @property
    def jobs(self) -> str:
        return f"/apis/batch/v1/namespaces/{self.namespace}/jobs"

    @property
    def pods(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/pods"

    @property
    def config_maps(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/configmaps"

    @property
    def events(self) -> str:
        return f"/api/v1/namespaces/{self.namespace}/events"


def order_of(work: ShortWork, interpreter: str) -> str:
    """What `run.py` reads. `interpreter` is this machine's; the image has its own."""
    limits = work.limits
    order = {
        "command": ["python" if word == interpreter else word for word in work.command],
        "chdir": str(work.chdir),
        "variables": dict(work.variables),
        "timeout_s": work.timeout_s,
        "largest_answer": work.largest_answer,
        "limits": {
            "RLIMIT_AS": limits.memory_bytes,
            "RLIMIT_FSIZE": limits.file_bytes,
            "RLIMIT_NOFILE": limits.open_files,
            "RLIMIT_CORE": 0,
            **({"RLIMIT_NPROC": limits.processes} if limits.processes else {}),
            **({"RLIMIT_CPU": limits.cpu_s} if limits.cpu_s is not None else {}),
        },
    }
    return json.dumps(order, sort_keys=True)


def name_of(work: ShortWork, order: str, digest: str, place: Place, tools: Mapping[str, str]) -> str:
    """The same work has the same name, so that one Job does it however often it is asked for at a time."""
    said = json.dumps([order, digest, place.image, place.starts_within_s, dict(tools)], sort_keys=True)
    return f"kfops-{work.purpose}-{hashlib.sha256(said.encode()).hexdigest()[:20]}"


def config_map(name: str, owner: Document, files: Mapping[str, str], archive: bytes | None) -> Document:
    """It goes with its Job, which is not gone before it is."""
    metadata = owner["metadata"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {
            "name": name,
            "ownerReferences": [
                {
                    "apiVersion": "batch/v1",
                    "kind": "Job",
                    "name": metadata["name"],
                    "uid": metadata["uid"],
                    "blockOwnerDeletion": True,
                }
            ],
        },
        "immutable": True,
        "data": dict(files),
        **({"binaryData": {"source.tar.gz": base64.b64encode(archive).decode()}} if archive else {}),
    }


def job(name: str, work: ShortWork, packed: Packed, place: Place, address: str | None) -> Document:
    """`address`: where the archive is fetched from, None where it is in the ConfigMap."""
    labels = {
        "app.kubernetes.io/name": "kfops-sandbox",
        "app.kubernetes.io/managed-by": "kfops",
        PURPOSE: work.purpose,
        **({FETCHES: "address"} if address else {}),
    }
    bounds = _Bounds.of(work, packed)
    source = source_container(packed, address, bounds.resources(256 * _MIB))
    main = {
        "name": MAIN,
        "command": [
            *("python", "-I", "-S", f"{GIVEN}/run.py", f"{GIVEN}/work.json", f"{GIVEN}/seal.py"),
            *((str(SAID),) if work.is_told else ()),
        ],
        "volumeMounts": [
            read_only_mount("given", GIVEN),
            {"name": "scratch", "mountPath": "/tmp"},  # noqa: S108 - the pod's own
            *({**read_only_mount("source", str(there)), "subPath": below} for below, there in packed.places),
        ],
        "resources": bounds.resources(bounds.memory),
    }
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": place.account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": _user(name),
        "initContainers": [confined(source, place.image)],
        "containers": [confined(main, place.image)],
        "volumes": [
            {"name": "given", "configMap": {"name": name, "defaultMode": 0o444}},
            {"name": "source", "emptyDir": {"sizeLimit": str(bounds.source)}},
            {"name": "scratch", "emptyDir": {"sizeLimit": str(bounds.scratch)}},
        ],
    }
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": place.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": math.ceil(place.starts_within_s + work.timeout_s),
            "ttlSecondsAfterFinished": _KEPT_S,
            "template": {"metadata": {"labels": labels}, "spec": pod},
        },
    }


@dataclass(frozen=True)
class _Bounds:
    """Bytes. What code may address is more than what it may hold: libraries map far more than they touch."""

    memory: int
    source: int
    scratch: int

    @staticmethod
    def of(work: ShortWork, packed: Packed) -> _Bounds:
        # Beside /tmp itself: what the command writes to its output and its log.
        scratch = work.limits.scratch_bytes + 2 * work.limits.file_bytes
        return _Bounds(
            memory_of(work),
            packed.unpacked_bytes + packed.size + 64 * _MIB,
            scratch,
        )

    def resources(self, memory: int) -> Document:
        disk = str(self.source + self.scratch)
        return {
            "requests": {
                "cpu": "250m",
                "memory": str(min(memory, 512 * _MIB)),
                "ephemeral-storage": str(self.source),
            },
            "limits": {"cpu": "2", "memory": str(memory), "ephemeral-storage": disk},
        }


def memory_of(work: ShortWork) -> int:
    """What its container may hold, in bytes."""
    return min(work.limits.memory_bytes, _MOST_MEMORY)


def _user(name: str) -> Document:
    """One of its own: the limit on a user's processes counts all that it has on the node."""
    user = _FIRST_USER + int(hashlib.sha256(name.encode()).hexdigest(), 16) % _USERS
    return {
        "runAsNonRoot": True,
        "runAsUser": user,
        "runAsGroup": user,
        "fsGroup": user,
        "seccompProfile": {"type": "RuntimeDefault"},
    }


def source_container(packed: Packed, address: str | None, resources: Document) -> Document:
    """The first container: it fetches, checks and unpacks what the others work on. Not yet confined."""
    return {
        "name": SOURCE,
        "command": [
            *("python", "-I", "-S", f"{GIVEN}/unpack.py"),
            "-" if address else f"{GIVEN}/source.tar.gz",
            *(packed.digest, UNPACKED, str(LARGEST_ARCHIVE)),
        ],
        **({"env": [{"name": "KFOPS_ARCHIVE", "value": address}]} if address else {}),
        "volumeMounts": [read_only_mount("given", GIVEN), {"name": "source", "mountPath": UNPACKED}],
        "resources": resources,
    }


def confined(container: Document, image: str) -> Document:
    """With everything that the restricted standard for pods asks of a container."""
    return {
        **container,
        "image": image,
        "imagePullPolicy": "IfNotPresent",
        "terminationMessagePolicy": "File",
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "runAsNonRoot": True,
            "capabilities": {"drop": ["ALL"]},
        },
    }


def read_only_mount(volume: str, at: str) -> Document:
    return {"name": volume, "mountPath": at, "readOnly": True}


def tools(seal: Path) -> dict[str, str]:
    """The programs of both containers, as the ConfigMap brings them: the image's version does not matter."""
    inside = Path(__file__).parent / "inside"
    return {path.name: path.read_text() for path in (inside / "unpack.py", inside / "run.py", seal)}
