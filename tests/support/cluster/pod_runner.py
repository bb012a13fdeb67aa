"""What a kubelet would start, started on this machine: each container of a pod in the local sandbox, with the folders that
its volumes are. A container that fetches, and one whose image is buildah's, has no walls: it needs what they forbid.
"""

from __future__ import annotations

import base64
import os
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from kfops.adapters.kubernetes.client import Kubernetes
from kfops.adapters.local.confinement import Limits
from kfops.adapters.local.sandbox import NoSandbox, Sandbox, probe
from kfops.adapters.local.sandbox_places import bind

Document = dict[str, Any]


@dataclass
class PodRunner:
    """`folder` holds the pod's volumes."""

    kubernetes: Kubernetes
    pod: Document
    folder: Path
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def prepare(self) -> bool:
        """Its volumes; False while one is missing, as a kubelet then waits and tries again."""
        namespace = self.pod["metadata"]["namespace"]
        for volume in self.pod["spec"]["volumes"]:
            place = self.folder / volume["name"]
            place.mkdir(parents=True, exist_ok=True)
            place.chmod(0o777 if "emptyDir" in volume else 0o755)
            if "configMap" in volume:
                path = f"/api/v1/namespaces/{namespace}/configmaps/{volume['configMap']['name']}"
                found = self.kubernetes.get(path)
                if found is None:
                    return False
                for name, text in (found.get("data") or {}).items():
                    (place / name).write_text(text)
                for name, text in (found.get("binaryData") or {}).items():
                    (place / name).write_bytes(base64.b64decode(text))
            if "secret" in volume:
                path = f"/api/v1/namespaces/{namespace}/secrets/{volume['secret']['secretName']}"
                found = self.kubernetes.get(path)
                if found is None:
                    return False
                names = {one["key"]: one["path"] for one in volume["secret"].get("items", ())}
                for name, text in (found.get("data") or {}).items():
                    (place / names.get(name, name)).write_bytes(base64.b64decode(text))
        return True

    def run(self, container: Document) -> tuple[int, bytes]:
        """(exit code, what it wrote)."""
        log = self.folder / f"{container['name']}.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                self.command(container), env={"PATH": os.environ["PATH"]}, stdout=output, stderr=output
            )
            self.processes.append(process)
            code = process.wait()
        return code, log.read_bytes()

    def stop(self) -> None:
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def command(self, container: Document) -> list[str]:
        read_only: dict[Path, Path] = {}
        writable: dict[Path, Path] = {}
        for mount in container["volumeMounts"]:
            if mount["mountPath"] != "/tmp":
                here = self.folder / mount["name"] / mount.get("subPath", "")
                if not here.exists():  # a kubelet makes it
                    here.mkdir()
                (read_only if mount.get("readOnly") else writable)[here] = Path(mount["mountPath"])
        inside = [sys.executable if word == "python" else word for word in container["command"]]
        variables = {one["name"]: one["value"] for one in container.get("env", ())}
        if inside[0] == "buildah":
            return _without_walls(inside, read_only, writable, variables)
        room: Sandbox | NoSandbox = _sandbox()
        if "KFOPS_ARCHIVE" in variables or "KFOPS_REGISTRY" in variables:
            room = NoSandbox()
        return room.argv(
            inside,
            read_only=read_only,
            writable=writable,
            chdir=Path("/"),
            limits=Limits(),
            variables=variables,
        )


def _sandbox() -> Sandbox:
    found = probe()
    assert isinstance(found, Sandbox), found
    return found


def _without_walls(
    inside: list[str], read_only: dict[Path, Path], writable: dict[Path, Path], variables: dict[str, str]
) -> list[str]:
    """The same paths, and every right that root has here."""
    system = [
        *("--ro-bind", "/usr", "/usr", "--ro-bind", "/etc", "/etc", "--ro-bind", "/sys", "/sys"),
        *("--dev-bind", "/dev", "/dev", "--proc", "/proc"),
    ]
    for name in ("bin", "sbin", "lib", "lib64"):
        system += ["--symlink", f"usr/{name}", f"/{name}"]
    return [
        str(_sandbox().bwrap),
        *("--cap-add", "ALL", "--die-with-parent", "--unshare-pid"),
        *system,
        *("--tmpfs", "/tmp", "--tmpfs", "/var/tmp", "--tmpfs", "/run"),
        *(word for here, there in read_only.items() for word in bind("--ro-bind", here, there)),
        *(word for here, there in writable.items() for word in bind("--bind", here, there)),
        *(word for name, value in variables.items() for word in ("--setenv", name, value)),
        "--",
        *inside,
    ]
