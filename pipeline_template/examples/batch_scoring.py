"""Score a whole table with the model that production serves: MLflow's version with the alias `champion`.

On Kubeflow, by itself or as a recurring run; on a desk, where the tracking server can be reached:

    python examples/batch_scoring.py --mlflow http://127.0.0.1:5000 --model churn --table data/churn.csv
"""

from kfp import dsl


@dsl.component(
    base_image="python:3.11-slim",
    packages_to_install=[
        "mlflow>=3.17,<3.19",
        "pandas",
        "pyarrow",
        "scikit-learn",
        "lightgbm",
        "cloudpickle",
    ],
    install_kfp_package=False,
)
def score_table(
    mlflow_url: str,
    model: str,
    alias: str,
    table: str,
    keep: list,
    predictions: dsl.Output[dsl.Dataset],
) -> dict:
    """One row of `predictions` (Parquet) a row of the table: the columns to keep, and what the model says."""
    import os
    import sys
    from pathlib import Path

    os.environ["MLFLOW_TRACKING_URI"] = mlflow_url
    import mlflow
    import pandas as pd

    read = {".csv": pd.read_csv, ".parquet": pd.read_parquet, ".xlsx": pd.read_excel}
    rows = read[Path(table).suffix](table)
    version = mlflow.MlflowClient().get_model_version_by_alias(model, alias)
    loaded = mlflow.pyfunc.load_model(f"models:/{model}/{version.version}")
    schema = loaded.metadata.get_input_schema()
    wanted = schema.input_names() if schema else list(rows.columns)
    missing = [name for name in [*wanted, *keep] if name not in rows.columns]
    if missing:
        sys.exit(
            f"{table} lacks {', '.join(missing)}; {model} version {version.version} takes {', '.join(wanted)}"
        )
    # Whole numbers without a gap are read as integers, which MLflow does not take for the model's floats.
    floats = [column.name for column in (schema.inputs if schema else ()) if column.type.name == "double"]
    answers = loaded.predict(rows[wanted].astype(dict.fromkeys(floats, float)))
    scored = rows[keep].copy()
    scored["prediction"] = list(answers)
    scored.to_parquet(predictions.path)
    predictions.metadata["model_version"] = version.version
    print(f"{len(scored)} rows scored by {model} version {version.version}")
    return {"rows": len(scored), "model_version": version.version}


@dsl.pipeline(name="churn-batch", description="What the champion says of every customer.")
def churn_batch(
    mlflow_url: str = "http://mlflow.mlflow:5000",
    model: str = "churn",
    alias: str = "champion",
    table: str = "data/churn.csv",
    keep: list = ["customer_id"],  # noqa: B006 - KFP reads the default
):
    """Score a table.

    Args:
        mlflow_url: The tracking server.
        model: The registered model.
        alias: Which of its versions.
        table: What is scored: CSV, Parquet or xlsx.
        keep: Columns that the predictions keep, to know the rows by.
    """
    score_table(mlflow_url=mlflow_url, model=model, alias=alias, table=table, keep=keep).set_caching_options(
        enable_caching=False  # the same words mean another model tomorrow
    )


if __name__ == "__main__":
    import argparse

    from kfp import local

    words = argparse.ArgumentParser()
    for name in ("--mlflow", "--model", "--table"):
        words.add_argument(name, required=True)
    words.add_argument("--keep", action="append", default=[], metavar="COLUMN")
    words.add_argument("--out", default="predictions")
    said = words.parse_args()
    local.init(runner=local.SubprocessRunner(use_venv=False), pipeline_root=said.out)
    churn_batch(mlflow_url=said.mlflow, model=said.model, table=said.table, keep=said.keep)
