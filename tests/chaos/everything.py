"""All shares of all matrices, played by several processes; what has been tried can be kept, and is then not tried again."""

from __future__ import annotations

import json
import logging
import multiprocessing
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

import structlog

from tests.chaos import code
from tests.chaos.flood import flood
from tests.chaos.matrices import Result, Share, play
from tests.chaos.quick_folder import quick_folder
from tests.chaos.stories import Shelf
from tests.support.world import world

FLOOD = "a flood"
Found = list[tuple[Share, Result]]


def everything(shares: Sequence[Share], jobs: int, kept: Path | None, say: Callable[[str], None]) -> Found:
    """In the shares' order, however they ended; `say` hears of each. What was kept of other code is played again."""
    now = code.digest()
    known = dict(_read(kept, now)) if kept and kept.exists() else {}
    found = [(one, known[one.name]) for one in shares if one.name in known]
    left = [one for one in shares if one.name not in known]
    cases, began = sum(len(one.places) for one in left), time.monotonic()
    say(f"{len(left)} of {len(shares)} shares are to be played: {cases} cases")
    with quick_folder() as folder, _pool(jobs, folder) as pool:
        asked = {pool.submit(_play, one): one for one in left}
        for future in as_completed(asked):
            share, result = asked[future], future.result()
            found.append((share, result))
            _keep(kept, now, share, result)
            say(
                f"{len(found)}/{len(shares)} after {time.monotonic() - began:.0f} s: {share.story}, {share.what}"
            )
            for told in result.told:
                say(f"    {told}")
    order = {one.name: number for number, one in enumerate(shares)}
    return sorted(found, key=lambda pair: order[pair[0].name])


@contextmanager
def shelf_in(folder: Path) -> Iterator[Shelf]:
    for name in ("world", "shelf"):
        (folder / name).mkdir()
    with world(folder / "world", requires=("approval",)) as here:
        yield Shelf(here, folder / "shelf")


def quietly() -> None:
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))


def _pool(jobs: int, folder: Path) -> ProcessPoolExecutor:
    """Processes that share nothing: each serves a forge of its own from a thread."""
    context = multiprocessing.get_context("spawn")
    return ProcessPoolExecutor(jobs, context, initializer=_begin, initargs=(str(folder),))


_PLACE: list[Path] = []
_SHELF: list[Shelf] = []
_OPEN = ExitStack()  # until the process ends


def _begin(folder: str) -> None:
    quietly()
    _PLACE.append(Path(tempfile.mkdtemp(dir=folder)))


def _play(share: Share) -> Result:
    """In a process of the pool, whose world lasts as long as it does."""
    if share.story == FLOOD:
        return _flooded(*share.places)
    if not _SHELF:
        _SHELF.append(_OPEN.enter_context(shelf_in(_PLACE[0])))
    return play(_SHELF[0], share)


def _flooded(deliveries: int) -> Result:
    with quick_folder() as folder, world(folder) as here:
        seen = flood(here, deliveries)
    refused = sum(count for status, count in seen.answers.items() if status != 202)
    lost = seen.lost + seen.distinct - seen.stored
    told = () if lost == seen.doubled == refused == 0 else (str(seen),)
    return Result(seen.deliveries, lost, seen.doubled, 0, refused, told)


def _keep(kept: Path | None, of: str, share: Share, result: Result) -> None:
    if kept:
        with kept.open("a") as file:
            file.write(json.dumps({"code": of, "share": share.name, **asdict(result)}) + "\n")


def _read(kept: Path, now: str) -> Iterator[tuple[str, Result]]:
    for line in kept.read_text().splitlines():
        plain = json.loads(line)
        if plain.pop("code", "") == now:
            plain |= {"told": tuple(plain["told"]), "effects": tuple(map(tuple, plain["effects"]))}
            yield plain.pop("share"), Result(**plain)
