"""A real MLflow tracking server of the operator's, which keeps artifacts in a bucket and hands them out itself."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
from tests.support.servers.seaweed import KEY, SECRET, Seaweed

_READY_S = 120.0


@contextmanager
def running(folder: Path, storage: Seaweed, artifacts: str) -> Iterator[str]:
    """Its address. `artifacts`: where it keeps them in the storage, such as `s3://bucket/mlflow`."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [
        *(sys.executable, "-m", "mlflow", "server", "--workers", "1"),
        *(
            "--backend-store-uri",
            "sqlite:///mlflow.db",
            "--artifacts-destination",
            artifacts,
        ),
        *("--host", "127.0.0.1", "--port", str(port), "--allowed-hosts", f"127.0.0.1:{port}"),
        *("--uvicorn-opts", "--log-level warning"),
    ]
    environment = {
        "PATH": os.defpath,
        "HOME": str(folder),
        "AWS_ACCESS_KEY_ID": KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "MLFLOW_S3_ENDPOINT_URL": storage.endpoint,
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "DO_NOT_TRACK": "true",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
        "PYTHONWARNINGS": "ignore",
    }
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
    try:
        _wait(f"http://127.0.0.1:{port}", process, folder / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(30)


def _wait(url: str, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + _READY_S
    while process.poll() is None and time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/health", timeout=5, trust_env=False).is_success:
                return
        except httpx.TransportError:
            time.sleep(0.1)
    raise AssertionError(f"MLflow did not come up\n{log.read_text()[-2000:]}")
