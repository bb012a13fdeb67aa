"""The documents of one image's build: a Job whose containers come one after the other. Pure.

`source` unpacks the commit, `build` runs the Dockerfile, `layout` writes the image as files, and the last one pushes it.
Only the last has the registry's credentials, and then no line of the Dockerfile runs any more. `build` and `layout` are
buildah's, which makes a user namespace of its own: the runtime's filter of system calls forbids that, and `newuidmap`
needs its rights. So they have what the sandbox's restricted namespace does not allow, and a namespace of their own.
"""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from kfops.adapters.buildah.images import build_words
from kfops.adapters.kubernetes.sandbox.job import (
    FETCHES,
    GIVEN,
    PURPOSE,
    UNPACKED,
    Place,
    confined,
    read_only_mount,
    source_container,
)
from kfops.adapters.kubernetes.sandbox.packing import Packed
from kfops.ports.images import ImageOrder

Document = dict[str, Any]

BUILD, LAYOUT, PUSH = "build", "layout", "push"
PUSH_S = 600
_STORAGE, _LAYOUT, _SECRET = "/kfops-storage", "/kfops-image", "/kfops-registry"
_USER = 1000  # whom buildah's own images have ranges of users for
_NOTHING = {"drop": ["ALL"]}
# Where programs write however they are told: each is a part of one volume of the pod's.
_SCRATCH = {"/tmp": "tmp", "/var/tmp": "var", "/run": "run"}  # noqa: S108 - the pod's own
_GIB = 1 << 30


@dataclass(frozen=True)
class Builder:
    """`place.image` is the bot's, `image` has buildah. `secret`: the name of a Secret of the type
    kubernetes.io/dockerconfigjson beside the Jobs; none where anybody may push. `is_plain`: the registry speaks no TLS.
    """

    place: Place
    image: str
    secret: str = ""
    is_plain: bool = False
    memory_bytes: int = 4 * _GIB
    disk_bytes: int = 20 * _GIB


def name_of(order: ImageOrder, digest: str, builder: Builder, tools: Mapping[str, str]) -> str:
    """The same build has the same name."""
    what = [order.context, order.dockerfile, order.repository, order.tag, order.timeout_s, digest]
    said = json.dumps([what, builder.image, builder.place.image, builder.secret, dict(tools)], sort_keys=True)
    return f"kfops-image-{hashlib.sha256(said.encode()).hexdigest()[:20]}"


def job(name: str, order: ImageOrder, packed: Packed, builder: Builder, address: str | None) -> Document:
    labels = {
        "app.kubernetes.io/name": "kfops-images",
        "app.kubernetes.io/managed-by": "kfops",
        PURPOSE: "image",
        **({FETCHES: "address"} if address else {}),
    }
    source = confined(
        source_container(packed, address, _resources(256 << 20, packed.unpacked_bytes)), builder.place.image
    )
    pod = {
        "restartPolicy": "Never",
        "serviceAccountName": builder.place.account,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "initContainers": [source, *_builds(order, builder)],
        "containers": [confined(_push(order, builder), builder.place.image)],
        "volumes": [
            {"name": "given", "configMap": {"name": name, "defaultMode": 0o444}},
            {
                "name": "source",
                "emptyDir": {"sizeLimit": str(packed.unpacked_bytes + packed.size + (64 << 20))},
            },
            {"name": "storage", "emptyDir": {"sizeLimit": str(builder.disk_bytes)}},
            {"name": "layout", "emptyDir": {"sizeLimit": str(builder.disk_bytes // 2)}},
            {"name": "scratch", "emptyDir": {"sizeLimit": str(2 * _GIB)}},
            *_secret_volume(builder),
        ],
    }
    total = builder.place.starts_within_s + order.timeout_s + PUSH_S
    return {
        "apiVersion": "batch/v1",
        "kind": "Job",
        "metadata": {"name": name, "namespace": builder.place.namespace, "labels": labels},
        "spec": {
            "backoffLimit": 0,
            "completions": 1,
            "parallelism": 1,
            "activeDeadlineSeconds": math.ceil(total),
            "ttlSecondsAfterFinished": 600,
            "template": {
                "metadata": {
                    "labels": labels,
                    # Older clusters know it as an annotation only.
                    "annotations": {
                        f"container.apparmor.security.beta.kubernetes.io/{one}": "unconfined"
                        for one in (BUILD, LAYOUT)
                    },
                },
                "spec": pod,
            },
        },
    }


def _builds(order: ImageOrder, builder: Builder) -> list[Document]:
    image = f"{order.repository}:{order.tag}"
    inside = replace(order, source_dir=Path(UNPACKED) / "0")
    store = ["--root", f"{_STORAGE}/root", "--runroot", f"{_STORAGE}/run", "--storage-driver", "vfs"]
    commands = {
        BUILD: ["buildah", *store, *build_words(inside, image)],
        LAYOUT: ["buildah", *store, "push", image, f"oci:{_LAYOUT}/layout:image"],
    }
    return [
        {
            "name": name,
            "image": builder.image,
            "imagePullPolicy": "IfNotPresent",
            "command": command,
            "env": [
                {"name": "HOME", "value": _STORAGE},
                {"name": "TMPDIR", "value": _STORAGE},
                {"name": "BUILDAH_ISOLATION", "value": "chroot"},
            ],
            "volumeMounts": [
                read_only_mount("source", UNPACKED),
                {"name": "storage", "mountPath": _STORAGE},
                {"name": "layout", "mountPath": _LAYOUT},
                *({"name": "scratch", "mountPath": at, "subPath": part} for at, part in _SCRATCH.items()),
            ],
            "resources": _resources(builder.memory_bytes, builder.disk_bytes),
            "securityContext": {
                "runAsNonRoot": True,
                "readOnlyRootFilesystem": True,
                "allowPrivilegeEscalation": True,
                "capabilities": {**_NOTHING, "add": ["SETUID", "SETGID"]},
                "seccompProfile": {"type": "Unconfined"},
            },
        }
        for name, command in commands.items()
    ]


def _push(order: ImageOrder, builder: Builder) -> Document:
    return {
        "name": PUSH,
        "command": [
            *("python", "-I", "-S", f"{GIVEN}/push.py", f"{_LAYOUT}/layout", order.repository, order.tag),
            *([f"{_SECRET}/config.json"] if builder.secret else []),
        ],
        "env": [{"name": "KFOPS_REGISTRY", "value": "plain" if builder.is_plain else "tls"}],
        "volumeMounts": [
            read_only_mount("given", GIVEN),
            read_only_mount("layout", _LAYOUT),
            *([read_only_mount("registry", _SECRET)] if builder.secret else []),
        ],
        "resources": _resources(256 << 20, 64 << 20),
    }


def _secret_volume(builder: Builder) -> list[Document]:
    if not builder.secret:
        return []
    items = [{"key": ".dockerconfigjson", "path": "config.json"}]
    return [
        {"name": "registry", "secret": {"secretName": builder.secret, "items": items, "defaultMode": 0o440}}
    ]


def _resources(memory: int, disk: int) -> Document:
    return {
        "requests": {
            "cpu": "250m",
            "memory": str(min(memory, 512 << 20)),
            "ephemeral-storage": str(min(disk, _GIB)),
        },
        "limits": {"cpu": "2", "memory": str(memory), "ephemeral-storage": str(disk)},
    }
