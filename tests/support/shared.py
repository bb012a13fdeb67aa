"""An engine in memory that several processes share: its state lies in a file, and each call has it to itself."""

from __future__ import annotations

import copyreg
import fcntl
import pickle
from collections.abc import Callable
from pathlib import Path
from threading import RLock
from typing import Any


def _made_anew(_: Any) -> tuple[Callable[[], Any], tuple[()]]:
    return RLock, ()


copyreg.pickle(type(RLock()), _made_anew)


class Shared:
    """Every method of what was put there with `share`, on its present state."""

    pulls_images = False  # of the port `Pipelines`: the one thing that is no method

    def __init__(self, path: Path) -> None:
        self._path = path

    def __getattr__(self, name: str) -> Any:
        def call(*given: Any, **named: Any) -> Any:
            with self._path.open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX)
                engine = pickle.load(file)  # noqa: S301 - written by the test itself
                try:
                    return getattr(engine, name)(*given, **named)
                finally:
                    # In one write, whole or not at all: whoever is killed before it has done nothing.
                    state = pickle.dumps(engine)
                    file.seek(0)
                    file.write(state)
                    file.flush()

        return call

    @property
    def state(self) -> Any:
        """A copy of the engine as it is now."""
        with self._path.open("rb") as file:
            fcntl.flock(file, fcntl.LOCK_SH)
            return pickle.load(file)  # noqa: S301 - written by the test itself


def share(engine: Any, path: Path) -> Shared:
    path.write_bytes(pickle.dumps(engine))
    return Shared(path)
