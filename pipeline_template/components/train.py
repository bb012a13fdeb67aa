from kfp import dsl

from components import IMAGE


@dsl.component(base_image=IMAGE, install_kfp_package=False, embedded_artifact_path="model")
def train(
    table: dsl.Input[dsl.Dataset],
    target: str,
    ignore: list,
    metric: str,
    time_budget: int,
    max_iter: int,
    seed: int,
    sample: str,
    code: dsl.EmbeddedInput[dsl.Artifact],
    fitted: dsl.Output[dsl.Model],
    heldout: dsl.Output[dsl.Dataset],
    training_rows: dsl.Output[dsl.Dataset],
    golden: dsl.Output[dsl.Artifact],
) -> dict:
    """Hold rows out, search for a model on the others, fit the winner, and keep what it answers to the sample request."""
    from pathlib import Path

    import cloudpickle
    import features
    import pandas as pd
    from sample import answered
    from training import fit

    from data import split

    rows, held_out, hashes = split(pd.read_parquet(table.path), target)
    features_only = rows.drop(columns=[target, *(name for name in ignore if name in rows.columns)])
    pipeline, learnt = fit(
        features_only, rows[target], metric=metric, time_budget=time_budget, max_iter=max_iter, seed=seed
    )
    cloudpickle.register_pickle_by_value(features)
    Path(fitted.path).write_bytes(cloudpickle.dumps(pipeline))
    held_out.to_parquet(heldout.path)
    Path(training_rows.path).write_text("\n".join(hashes) + "\n")
    Path(golden.path).write_text(answered(pipeline, sample))
    fitted.metadata.update(learner=learnt["learner"], rows=len(rows))
    print(
        f"{learnt['learner']}: {metric} {learnt['validation']:.4f} in validation; {len(rows)} rows, {len(held_out)} held out"
    )
    return learnt
