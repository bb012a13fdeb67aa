from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False, embedded_artifact_path="model")
def hand_over(
    fitted: dsl.Input[dsl.Model],
    heldout: dsl.Input[dsl.Dataset],
    target: str,
    ignore: list,
    code: dsl.EmbeddedInput[dsl.Artifact],
    model: dsl.Output[dsl.Model],
):
    """Write the model as an MLflow model directory: what Kfops registers and serves."""
    from pathlib import Path

    import cloudpickle
    import pandas as pd
    from mlflow_model import save

    from data import ROW

    rows = pd.read_parquet(heldout.path)
    raw = rows.drop(columns=[target, ROW, *(name for name in ignore if name in rows.columns)])
    save(cloudpickle.loads(Path(fitted.path).read_bytes()), raw, model.path)
    print(f"an MLflow model that takes {len(raw.columns)} columns")
