"""One training with given settings: what a trial of `tuning.py` runs, and with `--model` the last training.

    python examples/trial.py --data data/churn.csv --learning_rate=0.1 --num_leaves=31
    → roc_auc=0.843

Prints `METRIC=NUMBER`, which Katib's collector reads.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT / "model"))
TARGET, IGNORED = "churn", ["customer_id"]
WHOLE = {"num_leaves", "n_estimators", "min_child_samples", "max_depth"}


def settings_of(words: list[str]) -> dict[str, float | int]:
    """`--NAME=VALUE` each; Katib gives whole numbers as text, too."""
    found: dict[str, float | int] = {}
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        if not equals or not word.startswith("--"):
            sys.exit(f"{word}: expected --SETTING=NUMBER")
        found[name] = int(float(value)) if name in WHOLE else float(value)
    return found


def trained(data: str, settings: dict[str, float | int]):
    """The fitted pipeline and its scores on the rows that were held out."""
    from evaluation import scores
    from features import preprocessing
    from lightgbm import LGBMClassifier
    from sklearn.pipeline import Pipeline

    from data import read, split

    rows, held_out, _ = split(read(data), TARGET)
    inputs = rows.drop(columns=[TARGET, *IGNORED])
    estimator = LGBMClassifier(verbose=-1, n_jobs=1, random_state=7, **settings)
    pipeline = Pipeline([*preprocessing(inputs).steps, ("estimator", estimator)])
    pipeline.fit(inputs, rows[TARGET].to_numpy(dtype=str))
    return pipeline, scores(pipeline, held_out, held_out[TARGET]), inputs


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--data", required=True)
    words.add_argument("--metric", default="roc_auc")
    words.add_argument("--settings", default="{}", help="as JSON, besides --NAME=VALUE")
    words.add_argument("--model", help="a folder for the model, as MLflow keeps it")
    words.add_argument("--metrics", help="a file for all scores, as JSON")
    said, others = words.parse_known_args()
    given = {**json.loads(said.settings), **settings_of(others)}
    settings = settings_of([f"--{name}={value}" for name, value in given.items()])
    pipeline, found, inputs = trained(said.data, settings)
    print(f"{said.metric}={found[said.metric]:.6f}", flush=True)
    if said.metrics:
        Path(said.metrics).parent.mkdir(parents=True, exist_ok=True)
        Path(said.metrics).write_text(json.dumps(found))
    if said.model:
        from mlflow_model import save

        save(pipeline, inputs, said.model)


if __name__ == "__main__":
    main()
