"""Two models on the same held-out rows. Each is loaded in a sandbox of its own: neither can touch the other's answer."""

from __future__ import annotations

import json
import shutil
import sys
import tempfile
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from kfops.adapters.local.confined import Confined, Ended
from kfops.adapters.local.sandbox import Confinement, Limits
from kfops.domain.evidence import Comparison, MetricRow, ScoringFailure, Word
from kfops.ports.errors import Refused, Unavailable

ROW_COLUMN = "__row__"
"""The held-out table's column with each row's hash, as in `training_rows`."""

_TASKS = {"classification", "regression", "ts_forecast"}
_INSIDE = Path(__file__).parent / "inside"
_MODEL_SERVER = Path(__file__).parents[1] / "serving" / "model_server"
_MODEL, _HELDOUT, _TRAINING_ROWS = Path("/model"), Path("/data/heldout.parquet"), Path("/data/training_rows")
_TOOLS = Path("/app")
_LARGEST_ROWS = 50_000
_LARGEST_ANSWER = 64 << 20
_LIMITS = Limits(file_bytes=_LARGEST_ANSWER)


class LocalScoring:
    """The port `Scoring`. Thread-safe; a comparison takes some seconds, most of them spent importing libraries."""

    def __init__(self, sandbox: Confinement, *, timeout_s: float = 300.0) -> None:
        self._sandbox = sandbox
        self._timeout_s = timeout_s

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
        if task not in _TASKS:
            raise Refused(f"the task {task!r} is not known; expected one of {', '.join(sorted(_TASKS))}")
        attempts = max(1, attempts)
        with tempfile.TemporaryDirectory(prefix="kfops-scoring-") as folder, ExitStack() as running:
            place = Path(folder)
            rows = _readable(heldout, place / "heldout")
            seen = _readable(champion_training_rows, place / "seen") if champion_training_rows else None
            # All three at once: most of their time goes into importing libraries.
            judge = running.enter_context(self._judge(rows, seen, task, target, attempts, seed))
            models = {"challenger": challenger, "champion": champion}
            processes = {
                name: running.enter_context(self._predict(_readable(model, place / name), rows, target))
                for name, model in models.items()
                if model is not None
            }
            ended = {name: process.finish(self._timeout_s) for name, process in processes.items()}
            given = {name: _answered(ended.get(name)) for name in models}
            judged = judge.finish(self._timeout_s, said=json.dumps(given).encode())
        if given["challenger"] is None:
            return _failure(ended["challenger"])
        if judged.answer is None:
            return ScoringFailure(
                judged.last_line or "the comparison did not come to an end", judged.log_tail
            )
        trouble = _why(ended["champion"]) if champion is not None and given["champion"] is None else ""
        return comparison(judged.answer, attempts, has_champion=champion is not None, trouble=trouble)

    def _predict(self, model: Path, heldout: Path, target: str) -> Confined:
        command = self._sandbox.argv(
            [
                *(sys.executable, "-s", str(_TOOLS / "inside" / "predict.py")),
                *(str(_MODEL), str(_HELDOUT), target, ROW_COLUMN, str(_LARGEST_ROWS)),
            ],
            read_only={
                model: _MODEL,
                heldout: _HELDOUT,
                _INSIDE: _TOOLS / "inside",
                _MODEL_SERVER: _TOOLS / "model_server",
            },
            writable={},
            chdir=Path("/"),
            limits=_LIMITS,
            # Below a bound folder, so that it is right without a sandbox too.
            variables={"PYTHONPATH": f"{_TOOLS}/model_server/.."},
        )
        return self._start(command)

    def _judge(
        self, heldout: Path, seen: Path | None, task: str, target: str, attempts: int, seed: int
    ) -> Confined:
        command = self._sandbox.argv(
            [
                *(sys.executable, "-s", str(_TOOLS / "inside" / "judge.py")),
                *(str(_HELDOUT), str(_TRAINING_ROWS) if seen else "-", task, target, ROW_COLUMN),
                *(str(attempts), str(seed), str(_LARGEST_ROWS)),
            ],
            read_only={
                heldout: _HELDOUT,
                _INSIDE: _TOOLS / "inside",
                **({seen: _TRAINING_ROWS} if seen else {}),
            },
            writable={},
            chdir=Path("/"),
            limits=_LIMITS,
        )
        return self._start(command)

    def _start(self, command: list[str]) -> Confined:
        try:
            return Confined(self._sandbox, command, largest_answer=_LARGEST_ANSWER)
        except OSError as error:
            raise Unavailable(f"the sandbox cannot be started: {error}") from error


def comparison(
    answer: Mapping[str, Any], attempts: int, *, has_champion: bool, trouble: str
) -> Comparison | ScoringFailure:
    """The judge's answer as values. Pure."""
    overlap, warnings, reason = answer["overlap"], list(answer["warnings"]), ""
    if trouble:
        reason = f"production's model cannot score these rows: {trouble}"
    elif overlap:
        reason = f"production was trained on {overlap} of these rows"
    elif has_champion and overlap is None:
        warnings.append("it is not known which rows production was trained on, so it may be flattered")
    rows = tuple(_row(row, reason, has_champion=has_champion) for row in answer["rows"])
    if not rows:
        return ScoringFailure("no metric could be computed from the model's predictions")
    return Comparison(
        rows=rows,
        heldout_rows=int(answer["heldout_rows"]),
        level=1 - 0.05 / attempts,
        overlap=overlap or 0,
        reason=reason,
        warnings=tuple(warnings),
    )


def _row(row: Mapping[str, Any], reason: str, *, has_champion: bool) -> MetricRow:
    name, challenger, champion = row["name"], row["challenger"], row["champion"]
    if not has_champion:
        return MetricRow(name, challenger)
    if champion is None or row.get("low") is None:
        why = reason or f"production's model gives no {name}"
        return MetricRow(name, challenger, champion, word=Word.NOT_COMPARABLE, reason=why)
    low, high = row["low"], row["high"]
    delta = challenger - champion
    if reason:
        return MetricRow(name, challenger, champion, delta, low, high, Word.NOT_COMPARABLE, reason)
    return MetricRow(
        name, challenger, champion, delta, low, high, _word(low, high, lower=row["lower_is_better"])
    )


def _word(low: float, high: float, *, lower: bool) -> Word:
    if low <= 0 <= high:
        return Word.WITHIN_NOISE
    return Word.BETTER if (low > 0) != lower else Word.WORSE


def _answered(ended: Ended | None) -> dict[str, Any] | None:
    """Predictions; None where there are none."""
    if ended is None or ended.answer is None or "predictions" not in ended.answer:
        return None
    return ended.answer


def _failure(ended: Ended) -> ScoringFailure:
    return ScoringFailure(_why(ended), ended.log_tail)


def _why(ended: Ended) -> str:
    if ended.code is None:
        return "no answer within the time allowed"
    if ended.answer is not None and isinstance(ended.answer.get("error"), str):
        return str(ended.answer["error"])
    return ended.last_line or f"the process ended with exit code {ended.code}"


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
