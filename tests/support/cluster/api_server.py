"""A real Kubernetes API server and etcd, from the folder that the customary KUBEBUILDER_ASSETS names.

No nodes and no controllers: what is real is the API. Tests take it as the fixture `api_server`.
"""

from __future__ import annotations

import csv
import json
import os
import secrets
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import yaml
from tests.support.servers.bound import bound

from kfops.adapters.kubernetes.access import Access
from kfops.adapters.kubernetes.client import Kubernetes
from kfops.ports.errors import Unavailable

ASSETS = "KUBEBUILDER_ASSETS"
ADMIN = "admin-token"
WHY = (
    f"no API server: {ASSETS} names no folder with kube-apiserver and etcd "
    "(setup-envtest makes one; .ci/run unpacks one)"
)
FULL_CRD = "inferenceservices.full.crd.json"
_STARTS_WITHIN_S = 60.0
_ANONYMOUS_SCHEMA = {"type": "object", "x-kubernetes-preserve-unknown-fields": True}


@dataclass(frozen=True)
class ApiServer:
    """`has_full_crd`: InferenceServices are validated by KServe's own schema."""

    url: str
    folder: Path
    has_full_crd: bool

    @property
    def authority(self) -> Path:
        return self.folder / "certs" / "apiserver.crt"

    def access(self, token: str = ADMIN) -> Access:
        return Access(self.url, self.authority, lambda: token)

    def client(self, token: str = ADMIN) -> Kubernetes:
        return Kubernetes(self.access(token))

    def kubeconfig(self, path: Path, token: str = ADMIN) -> Path:
        content = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "here",
                    "cluster": {"server": self.url, "certificate-authority": str(self.authority)},
                }
            ],
            "users": [{"name": "me", "user": {"token": token}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "me"}}],
            "current-context": "here",
        }
        path.write_text(yaml.safe_dump(content))
        return path

    def namespace(self, prefix: str = "t") -> str:
        """A fresh one: namespaces are never really deleted here, for nobody collects what is in them."""
        name = f"{prefix}-{secrets.token_hex(4)}"
        with closing(self.client()) as client:
            client.create("/api/v1/namespaces", {"metadata": {"name": name}})
        return name


@contextmanager
def running(assets: Path, folder: Path) -> Iterator[ApiServer]:
    """Both processes, ended together. Every file is in `folder`."""
    client, peer, secure = (_free_port() for _ in range(3))
    subprocess.run(
        ["openssl", "genrsa", "-out", str(folder / "sa.key"), "2048"], check=True, capture_output=True
    )
    with (folder / "tokens.csv").open("w", newline="") as file:
        csv.writer(file).writerows([(ADMIN, "admin", "admin-uid", "system:masters")])
    started: list[subprocess.Popen[bytes]] = []
    try:
        started.append(_start(_etcd(assets / "etcd", folder, client, peer), folder / "etcd.log"))
        started.append(
            _start(_api_server(assets / "kube-apiserver", folder, client, secure), folder / "api.log")
        )
        server = ApiServer(
            f"https://127.0.0.1:{secure}", folder, has_full_crd=(assets / "crds" / FULL_CRD).is_file()
        )
        _wait(server, started)
        _install(server, assets / "crds" / FULL_CRD)
        yield server
    finally:
        for process in reversed(started):
            process.kill()
            process.wait()


def assets_folder() -> Path | None:
    """None: the variable is not set, or what it names is not complete."""
    folder = Path(os.environ.get(ASSETS) or "/nonexistent")
    return folder if all((folder / name).is_file() for name in ("etcd", "kube-apiserver")) else None


def definition(
    group: str, version: str, kind: str, plural: str, *, namespaced: bool = True
) -> dict[str, Any]:
    """A custom resource whose content nobody validates: for kinds of projects that are not under test."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        # The API wants these words for names below k8s.io.
        "metadata": {
            "name": f"{plural}.{group}",
            "annotations": {"api-approved.kubernetes.io": "unapproved, for tests"},
        },
        "spec": {
            "group": group,
            "names": {"kind": kind, "plural": plural, "singular": kind.lower(), "listKind": f"{kind}List"},
            "scope": "Namespaced" if namespaced else "Cluster",
            "versions": [
                {
                    "name": version,
                    "served": True,
                    "storage": True,
                    "schema": {"openAPIV3Schema": _ANONYMOUS_SCHEMA},
                    "subresources": {"status": {}},
                }
            ],
        },
    }


DEFINITIONS = (
    definition("serving.knative.dev", "v1", "Revision", "revisions"),
    definition("gateway.networking.k8s.io", "v1", "HTTPRoute", "httproutes"),
    definition("monitoring.coreos.com", "v1", "ServiceMonitor", "servicemonitors"),
)
_INFERENCE_SERVICES = definition("serving.kserve.io", "v1beta1", "InferenceService", "inferenceservices")


def install_definition(server: ApiServer, content: dict[str, Any]) -> None:
    """And wait until the API serves it."""
    path = f"/apis/apiextensions.k8s.io/v1/customresourcedefinitions/{content['metadata']['name']}"
    spec = content["spec"]
    listing = f"/apis/{spec['group']}/{spec['versions'][0]['name']}/{spec['names']['plural']}"
    deadline = time.monotonic() + _STARTS_WITHIN_S
    with closing(server.client()) as client:
        client.apply(path, content, manager="tests")
        while not _is_served(client, listing):
            assert time.monotonic() < deadline, f"{listing} is not served"
            time.sleep(0.05)


def _is_served(client: Kubernetes, listing: str) -> bool:
    try:
        return client.get(listing) is not None
    except Unavailable:  # a new kind makes a busy server slow
        return False


def _install(server: ApiServer, full: Path) -> None:
    kserve = json.loads(full.read_text()) if full.is_file() else _INFERENCE_SERVICES
    for content in (kserve, *DEFINITIONS):
        install_definition(server, content)


def _start(command: list[str], log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as output:
        return subprocess.Popen(bound(command), stdin=subprocess.DEVNULL, stdout=output, stderr=output)


def _etcd(binary: Path, folder: Path, client: int, peer: int) -> list[str]:
    here, there = f"http://127.0.0.1:{client}", f"http://127.0.0.1:{peer}"
    return [
        str(binary),
        *("--data-dir", str(folder / "etcd"), "--unsafe-no-fsync"),
        *("--listen-client-urls", here, "--advertise-client-urls", here),
        *("--listen-peer-urls", there, "--initial-advertise-peer-urls", there),
        *("--initial-cluster", f"default={there}"),
    ]


def _api_server(binary: Path, folder: Path, etcd: int, port: int) -> list[str]:
    key = str(folder / "sa.key")
    return [
        str(binary),
        *("--etcd-servers", f"http://127.0.0.1:{etcd}"),
        *("--bind-address", "127.0.0.1", "--advertise-address", "127.0.0.1", "--secure-port", str(port)),
        *("--cert-dir", str(folder / "certs"), "--token-auth-file", str(folder / "tokens.csv")),
        *("--authorization-mode", "RBAC", "--service-cluster-ip-range", "10.0.0.0/24"),
        *("--service-account-issuer", "https://kubernetes.default.svc"),
        *("--service-account-key-file", key, "--service-account-signing-key-file", key),
        *("--allow-privileged=true", "--disable-admission-plugins", "ServiceAccount"),
    ]


def _wait(server: ApiServer, started: list[subprocess.Popen[bytes]]) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while not _is_ready(server):
        log = server.folder / "api.log"
        assert all(process.poll() is None for process in started), log.read_text()[-2000:]
        assert time.monotonic() < deadline, log.read_text()[-2000:]
        time.sleep(0.1)


def _is_ready(server: ApiServer) -> bool:
    if not server.authority.is_file():
        return False
    try:
        with httpx.Client(verify=server.access().tls(), trust_env=False) as client:
            answer = client.get(
                f"{server.url}/readyz", headers={"authorization": f"Bearer {ADMIN}"}, timeout=2
            )
    except (httpx.HTTPError, OSError):
        return False
    return answer.status_code == httpx.codes.OK


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
