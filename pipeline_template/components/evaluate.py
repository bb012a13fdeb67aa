from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False, embedded_artifact_path="model")
def evaluate(
    fitted: dsl.Input[dsl.Model],
    heldout: dsl.Input[dsl.Dataset],
    target: str,
    code: dsl.EmbeddedInput[dsl.Artifact],
    metrics: dsl.Output[dsl.Metrics],
    curves: dsl.Output[dsl.ClassificationMetrics],
):
    """Score the model on the held-out rows."""
    import json
    from pathlib import Path

    import cloudpickle
    import pandas as pd
    from evaluation import confusion, scores

    rows = pd.read_parquet(heldout.path)
    pipeline = cloudpickle.loads(Path(fitted.path).read_bytes())
    found = scores(pipeline, rows, rows[target])
    for name, value in found.items():
        metrics.log_metric(name, value)
    Path(metrics.path).write_text(json.dumps(found))
    curves.log_confusion_matrix(*confusion(pipeline, rows, rows[target]))
    print(", ".join(f"{name} {value:.4f}" for name, value in found.items()))
