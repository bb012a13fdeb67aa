"""One environment of the stack: keeps the wish, carries out what `settle` says, and tells what is so."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from kfops.adapters.local.serving.envoy import Envoy
from kfops.adapters.local.serving.envoy_config import ROUTE_TIMEOUT_S, Front, slot_folder
from kfops.adapters.local.serving.server_process import ServerProcess, Source
from kfops.adapters.local.serving.settle import Occupant, Settlement, State, Target, settle
from kfops.ports.errors import Unavailable

_QUIET_POLL_S = 0.05
_LONGEST_BACK_OFF_S = 30.0
_FIRST_BACK_OFF_S = 0.2
_MODEL_KEPT_S = 600.0


@dataclass(frozen=True)
class Wished:
    stable: Source | None = None
    candidate: Source | None = None
    candidate_weight: int = 0

    @classmethod
    def read(cls, content: dict[str, Any]) -> Wished:
        return cls(
            Source.read(content["stable"]), Source.read(content["candidate"]), content["candidate_weight"]
        )

    @property
    def target(self) -> Target:
        return Target(
            self.stable.identity if self.stable else None,
            self.candidate.identity if self.candidate else None,
            self.candidate_weight,
        )

    def source(self, identity: str) -> Source:
        return next(
            source for source in (self.stable, self.candidate) if source and source.identity == identity
        )


class Environment:
    """Belongs to one event loop; `_turn` is the only place that changes weights, and runs one at a time."""

    def __init__(
        self, front: Front, folder: Path, envoy: Envoy, *, now: Callable[[], float], ready_within_s: float
    ) -> None:
        self.front = front
        self._folder = folder
        self._envoy = envoy
        self._now = now
        self._ready_within_s = ready_within_s
        self._wished = Wished()
        self._servers: dict[str, ServerProcess] = {}
        self._stable: str | None = None
        self._settled = settle(None, {}, Target())
        self._in_force: tuple[dict[str, int], int] | None = None
        self._newest_candidate: str | None = None
        self._earlier: dict[str, int] = {}  # requests that a slot's earlier occupants got
        self._turning = asyncio.Lock()
        self._background: set[asyncio.Task[None]] = set()

    def resume(self, content: dict[str, Any]) -> None:
        """Go on with a wish that an earlier stack kept. What was stable then counts as stable before it is ready."""
        self._wished = Wished.read(content["wished"])
        stable = content["stable"]
        if stable and self._wished.stable and self._wished.stable.identity == stable:
            self._start("a", self._wished.stable)
            self._stable = "a"

    async def apply(self, content: dict[str, Any]) -> None:
        self._wished = Wished.read(content)
        self._keep()
        await self.turn()

    async def turn(self) -> None:
        """Take the steps that are due; each brings its own next one."""
        async with self._turning:
            occupants = {
                slot: Occupant(server.source.identity, server.state) for slot, server in self._servers.items()
            }
            settled = settle(self._stable, occupants, self._wished.target)
            moved = settled.stable != self._stable
            if settled.candidate is not None:
                self._newest_candidate = settled.candidate
            await self._split(settled)
            # Only what is in force is told: a look during the change sees what was before.
            self._stable, self._settled = settled.stable, settled
            if moved:
                self._keep()
            for slot in settled.drain:
                self._servers[slot].drain()
                self._spawn(self._drained(slot, self._servers[slot]))
            for slot, identity in settled.start:
                self._earlier[slot], _ = await self._envoy.requests(self.front.slug, slot)
                self._start(slot, self._wished.source(identity))

    def observe(self) -> dict[str, Any]:
        settled, wished = self._settled, self._wished.target
        stable = self._servers.get(settled.stable or "")
        arrived = wished.stable is None or (stable is not None and stable.source.identity == wished.stable)
        weight = self._in_force[0].get(settled.candidate or "", 0) if self._in_force else 0
        return {
            "port": self.front.port,
            "stable": self._arm(settled.stable, is_wished=False),
            "candidate": self._arm(settled.candidate, is_wished=wished.candidate is not None),
            "incoming": None if arrived else self._arm(settled.incoming, is_wished=True),
            "candidate_weight": min(weight, self._in_force[1]) if self._in_force else 0,
        }

    async def traffic(self) -> dict[str, Any]:
        """Which slot is which arm since when, and the newest candidate's own counter."""
        newest = self._newest_candidate
        total, active = await self._envoy.requests(self.front.slug, newest) if newest else (0, 0)
        # Envoy counts by slot since it started: less than an earlier occupant had means that it started since.
        earlier = self._earlier.get(newest or "", 0)
        total -= earlier if total >= earlier else 0
        return {
            "stable": self._binding(self._settled.stable),
            "candidate": self._binding(self._settled.candidate),
            "newest": None if newest is None else {"slot": newest, "total": total, "active": active},
        }

    def tidy(self) -> None:
        for server in self._servers.values():
            server.trim_log()
            server.end_if_excessive()

    async def stop(self) -> None:
        for task in self._background:
            task.cancel()
        await asyncio.gather(*(server.stop() for server in self._servers.values()))

    async def _split(self, settled: Settlement) -> None:
        wanted = (dict(settled.weights), settled.share)
        if wanted != self._in_force:
            await self._envoy.split(self.front.slug, *wanted)
            self._in_force = wanted

    def _start(self, slot: str, source: Source) -> None:
        if self._newest_candidate == slot:
            self._newest_candidate = None
        folder = self._folder / slot_folder(self.front.slug, slot)
        self._servers[slot] = ServerProcess(
            source,
            slot,
            folder,
            bound_at=self._now(),
            ready_within_s=self._ready_within_s,
            changed=lambda: self._spawn(self._changed(slot)),
        )

    async def _changed(self, slot: str) -> None:
        await self._try_turn()
        server = self._servers.get(slot)
        if server is not None and self._is_down(slot, server):
            await asyncio.sleep(min(_FIRST_BACK_OFF_S * 2**server.quick_deaths, _LONGEST_BACK_OFF_S))
            if self._is_down(slot, server):
                server.restart()

    def _is_down(self, slot: str, server: ServerProcess) -> bool:
        """The stable revision, and dead: it is brought back. A candidate is not: its death is the verdict."""
        return slot == self._stable and self._servers.get(slot) is server and server.state is State.FAILED

    async def _try_turn(self) -> None:
        with contextlib.suppress(
            Unavailable
        ):  # Envoy is down for a moment: the stack's next tick takes this turn
            await self.turn()

    async def _drained(self, slot: str, server: ServerProcess) -> None:
        """End it when its last request is answered: two looks in a row, because Envoy's worker learns of a weight
        a moment after its admin interface has said yes.
        """
        loop = asyncio.get_running_loop()
        deadline = loop.time() + ROUTE_TIMEOUT_S + 1
        quiet = 0
        while quiet < 2 and loop.time() < deadline:  # noqa: PLR2004
            await asyncio.sleep(_QUIET_POLL_S)
            try:
                _, active = await self._envoy.requests(self.front.slug, slot)
            except Unavailable:
                break
            quiet = quiet + 1 if active == 0 else 0
        await server.stop()
        del self._servers[slot]
        self._forget_models()
        await self._try_turn()

    def _forget_models(self) -> None:
        used = {server.source.digest for server in self._servers.values()}
        used |= {source.digest for source in (self._wished.stable, self._wished.candidate) if source}
        for model in (self._folder / "models" / self.front.slug).glob("*"):
            # A young one may have been put here for a wish that is just on its way.
            if model.name not in used and model.stat().st_mtime < self._now() - _MODEL_KEPT_S:
                shutil.rmtree(model, ignore_errors=True)

    def _spawn(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background.discard)

    def _keep(self) -> None:
        stable = self._servers.get(self._stable or "")
        content = {
            "port": self.front.port,
            "wished": asdict(self._wished),
            "stable": stable.source.identity if stable else None,
        }
        place = self._folder / "environments" / f"{self.front.slug}.json"
        place.parent.mkdir(exist_ok=True)
        fresh = place.with_suffix(".new")
        fresh.write_text(json.dumps(content))
        fresh.replace(place)

    def _binding(self, slot: str | None) -> dict[str, Any] | None:
        server = self._servers.get(slot or "")
        return None if server is None else {"slot": slot, "bound_at": server.bound_at}

    def _arm(self, slot: str | None, *, is_wished: bool) -> dict[str, Any] | None:
        server = self._servers.get(slot or "")
        if server is None:
            return {"slot": None, "state": State.STARTING} if is_wished else None
        digest, version = server.reported or (None, None)
        return {
            "slot": slot,
            "state": server.state,
            "failure": asdict(server.failure) if server.failure else None,
            "digest": digest,
            "version": version,
            "restarts": server.restarts,
        }
