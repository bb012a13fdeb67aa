"""Two models on the same held-out rows. Each is loaded in a sandbox of its own: neither can touch the other's answer."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

from kfops.adapters.local.confined import Ended
from kfops.adapters.local.confinement import Limits
from kfops.adapters.local.digest import digest_of_directory
from kfops.adapters.local.environments.inside_path import PackagesOf, bound, imported
from kfops.adapters.local.scoring import reading
from kfops.adapters.local.short_work import ShortWork, UnderWay, Workroom
from kfops.domain.evidence import Comparison, ScoringFailure
from kfops.domain.golden import Answers, Questions
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.scoring import Heldout

ROW_COLUMN = "__row__"
"""The held-out table's column with each row's hash, as in `training_rows`."""

_TASKS = {"classification", "regression", "ts_forecast"}
_INSIDE = Path(__file__).parent / "inside"
_MODEL_SERVER = Path(__file__).parents[1] / "serving" / "model_server"
_MODEL, _HELDOUT, _TRAINING_ROWS = Path("/model"), Path("/data/heldout.parquet"), Path("/data/training_rows")
_TOOLS = Path("/app")
_LARGEST_ROWS = 50_000
_LARGEST_ANSWER = 64 << 20
_READING_S = 60.0
_LIMITS = Limits(file_bytes=_LARGEST_ANSWER)
_NOTHING_MORE: Mapping[str, str] = {}


class LocalScoring:
    """The port `Scoring`. Thread-safe; a comparison takes some seconds, most of them spent importing libraries.

    `packages_of`: by a model's digest, the folder of packages that it was trained with.
    """

    def __init__(
        self, sandbox: Workroom, *, timeout_s: float = 300.0, packages_of: PackagesOf | None = None
    ) -> None:
        self._sandbox = sandbox
        self._timeout_s = timeout_s
        self._packages_of = packages_of

    def compare(
        self,
        challenger: Path,
        champion: Path | None,
        heldout: Path,
        *,
        task: str,
        target: str,
        attempts: int = 1,
        champion_training_rows: Path | None = None,
        seed: int = 0,
    ) -> Comparison | ScoringFailure:
        _known(task)
        attempts = max(1, attempts)
        with tempfile.TemporaryDirectory(prefix="kfops-scoring-") as folder, ExitStack() as running:
            place = Path(folder)
            rows = _readable(heldout, place / "heldout")
            seen = _readable(champion_training_rows, place / "seen") if champion_training_rows else None
            # All three at once: most of their time goes into importing libraries.
            judge = running.enter_context(self._judge(rows, seen, task, target, attempts, seed))
            models = {"challenger": challenger, "champion": champion}
            processes = {
                name: running.enter_context(
                    self._predict(_readable(model, place / name), rows, target, self._packages(model))
                )
                for name, model in models.items()
                if model is not None
            }
            ended = {name: process.finish() for name, process in processes.items()}
            given = {name: reading.answered(ended.get(name)) for name in models}
            judged = judge.finish(json.dumps(given).encode())
        if given["challenger"] is None:
            return reading.failure(ended["challenger"])
        if judged.answer is None:
            return ScoringFailure(
                judged.last_line or "the comparison did not come to an end", judged.log_tail
            )
        trouble = reading.why(ended["champion"]) if champion is not None and given["champion"] is None else ""
        return reading.comparison(judged.answer, attempts, has_champion=champion is not None, trouble=trouble)

    def questions(self, heldout: Path, *, target: str, most: int) -> Questions | ScoringFailure:
        with tempfile.TemporaryDirectory(prefix="kfops-questions-") as folder:
            rows = _readable(heldout, Path(folder) / "heldout")
            work = self._work(
                "questions",
                (str(_HELDOUT), target, ROW_COLUMN, str(most)),
                {rows: _HELDOUT},
                timeout_s=self._reading_s,
            )
            with self._start(work) as process:
                ended = self._soon(process)
        return reading.questions(ended)

    def judge(
        self, challenger: Answers, champion: Answers | None, heldout: Heldout
    ) -> Comparison | ScoringFailure:
        _known(heldout.task)
        with tempfile.TemporaryDirectory(prefix="kfops-scoring-") as folder:
            rows = _readable(heldout.path, Path(folder) / "heldout")
            hashes = heldout.champion_training_rows
            seen = _readable(hashes, Path(folder) / "seen") if hashes else None
            count = len(challenger.predictions)
            given = {
                "challenger": reading.given(challenger),
                "champion": champion and reading.given(champion),
            }
            asked = (heldout.task, heldout.target, heldout.attempts, heldout.seed)
            with self._judge(rows, seen, *asked, most=count, timeout_s=self._reading_s) as process:
                ended = self._soon(process, json.dumps(given).encode())
        if ended.answer is None:
            return reading.failure(ended)
        return reading.comparison(
            ended.answer, heldout.attempts, has_champion=champion is not None, trouble=""
        )

    def _packages(self, model: Path) -> Path | None:
        return self._packages_of(digest_of_directory(model)) if self._packages_of else None

    @property
    def _reading_s(self) -> float:
        return min(self._timeout_s, _READING_S)

    def _soon(self, process: UnderWay, said: bytes = b"") -> Ended:
        """No model is loaded: what takes longer is this machine's trouble, and may go better another time."""
        ended = process.finish(said)
        if ended.code is None:
            raise Unavailable(f"reading the held-out rows took longer than {_READING_S:g} s")
        return ended

    def _predict(self, model: Path, heldout: Path, target: str, packages: Path | None) -> UnderWay:
        work = self._work(
            "predict",
            (str(_MODEL), str(_HELDOUT), target, ROW_COLUMN, str(_LARGEST_ROWS)),
            {
                model: _MODEL,
                heldout: _HELDOUT,
                _MODEL_SERVER: _TOOLS / "model_server",
                **bound(packages),
            },
            # Below a bound folder, so that it is right without a sandbox too.
            variables=imported(packages, f"{_TOOLS}/model_server/.."),
        )
        return self._start(work)

    def _judge(
        self,
        heldout: Path,
        seen: Path | None,
        task: str,
        target: str,
        attempts: int,
        seed: int,
        *,
        most: int = _LARGEST_ROWS,
        timeout_s: float | None = None,
    ) -> UnderWay:
        work = self._work(
            "judge",
            (
                *(str(_HELDOUT), str(_TRAINING_ROWS) if seen else "-", task, target, ROW_COLUMN),
                *(str(attempts), str(seed), str(most)),
            ),
            {heldout: _HELDOUT, **({seen: _TRAINING_ROWS} if seen else {})},
            timeout_s=timeout_s,
        )
        return self._start(replace(work, is_told=True))

    def _work(
        self,
        tool: str,
        arguments: tuple[str, ...],
        read_only: Mapping[Path, Path],
        *,
        timeout_s: float | None = None,
        variables: Mapping[str, str] = _NOTHING_MORE,
    ) -> ShortWork:
        return ShortWork(
            tool,
            (sys.executable, "-s", str(_TOOLS / "inside" / f"{tool}.py"), *arguments),
            read_only={**read_only, _INSIDE: _TOOLS / "inside"},
            chdir=Path("/"),
            limits=_LIMITS,
            timeout_s=timeout_s or self._timeout_s,
            largest_answer=_LARGEST_ANSWER,
            variables=variables,
        )

    def _start(self, work: ShortWork) -> UnderWay:
        try:
            return self._sandbox.start(work)
        except OSError as error:
            raise Unavailable(f"the sandbox cannot be started: {error}") from error


def _known(task: str) -> None:
    if task not in _TASKS:
        raise Refused(f"the task {task!r} is not known; expected one of {', '.join(sorted(_TASKS))}")


def _readable(path: Path, spare: Path) -> Path:
    """The file or folder itself where the sandbox's user can read all of it, else a copy that it can."""
    if all(_is_open(one) for one in (path, *(path.rglob("*") if path.is_dir() else ()))):
        return path
    if path.is_dir():
        shutil.copytree(path, spare, symlinks=True)
    else:
        shutil.copyfile(path, spare, follow_symlinks=False)
    for one in (spare, *spare.rglob("*")):
        if not one.is_symlink():
            one.chmod(0o755 if one.is_dir() else 0o644)
    return spare


def _is_open(path: Path) -> bool:
    wanted = 0o005 if path.is_dir() else 0o004
    return path.is_symlink() or path.stat().st_mode & wanted == wanted
