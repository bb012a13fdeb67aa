"""Customer churn: validate → train → evaluate → hand over. Wiring only; the work is done in `model/`."""

import json
from pathlib import Path

import yaml
from kfp import dsl

from components.evaluate import evaluate
from components.hand_over import hand_over
from components.train import train
from components.validate import validate

# Read when the pipeline is compiled: a package carries the rules that its data must pass, and what callers send.
HERE = Path(__file__).parent
RULES = json.dumps(yaml.safe_load((HERE / "data" / "rules.yaml").read_text()))
SAMPLE = (HERE / "samples" / "request.json").read_text()


@dsl.pipeline(name="churn", description="Which customers are about to leave?")
def churn(
    data: str = "data/churn.csv",
    target: str = "churn",
    ignore_columns: list = ["customer_id"],  # noqa: B006 - KFP reads the default
    metric: str = "roc_auc",
    time_budget: int = 60,
    max_iter: int = 0,
    seed: int = 7,
):
    """Train and evaluate a model of customer churn.

    Args:
        data: The table: a path in this repository, or of a data set.
        target: The column to predict.
        ignore_columns: Columns that the model must not see.
        metric: What the search makes best: roc_auc, accuracy, f1 or log_loss.
        time_budget: Seconds to search for a model; 0 for no bound.
        max_iter: Trials to make; 0 for no bound. Without a time budget the result is reproducible.
        seed: Of the search.
    """
    valid = validate(data=data, target=target, rules=RULES)
    trained = train(
        table=valid.outputs["table"],
        target=target,
        ignore=ignore_columns,
        metric=metric,
        time_budget=time_budget,
        max_iter=max_iter,
        seed=seed,
        sample=SAMPLE,
    ).set_caching_options(enable_caching=False)
    model, rows = trained.outputs["fitted"], trained.outputs["heldout"]
    evaluated = evaluate(fitted=model, heldout=rows, target=target)
    hand_over(fitted=model, heldout=rows, target=target, ignore=ignore_columns).after(evaluated)
