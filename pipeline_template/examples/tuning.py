"""Tune with Katib, then train with what was found best: a search on as many machines as the cluster gives.

    kfc build-run --kubeflow-url https://… --set pipeline.source=examples/tuning.py

The image is the repository's own: `images: {build: [{name: trainer}]}` in kfops.yaml, which Kfops builds and names by
digest in KFOPS_IMAGE_TRAINER when it compiles. A trial runs `examples/trial.py` in it.
"""

import os

from kfp import dsl

IMAGE = os.environ.get("KFOPS_IMAGE_TRAINER", "registry.example.com/ml/trainer")
SPACE = {"learning_rate": {"double": [0.01, 0.3]}, "num_leaves": {"int": [7, 127]}}


@dsl.component(
    base_image="python:3.11-slim",
    packages_to_install=["kubernetes>=30,<31"],
    install_kfp_package=False,
    embedded_artifact_path="examples/cluster",
)
def tune(
    run: str,
    namespace: str,
    image: str,
    data: str,
    space: dict,
    metric: str,
    trials: int,
    parallel: int,
    code: dsl.EmbeddedInput[dsl.Artifact],
    poll_seconds: float = 10.0,
) -> dict:
    """Have Katib search, and hand the best settings on."""
    import json

    from katib import PLURAL, best, experiment, score, verdict
    from objects import custom_objects, work

    document = experiment(
        f"tune-{run[:8]}",
        namespace,
        image=image,
        command=["python", "examples/trial.py", f"--data={data}", f"--metric={metric}"],
        space=space,
        metric=metric,
        trials=trials,
        parallel=parallel,
    )

    def tell(status):
        done = status.get("trialsSucceeded", 0) + status.get("trialsFailed", 0)
        seen = {"trials": done, "max_trials": trials, "metric": metric, "best": score(status, metric)}
        print(
            "KFOPS_PROGRESS",
            json.dumps({key: value for key, value in seen.items() if value is not None}),
            flush=True,
        )

    ended = work(custom_objects(), document, PLURAL, verdict, tell=tell, poll_seconds=poll_seconds)
    found = best(ended["status"])
    print(f"best {metric} {score(ended['status'], metric)} with {found}")
    return found


@dsl.container_component
def train(data: str, settings: dict, model: dsl.Output[dsl.Model], metrics: dsl.Output[dsl.Metrics]):
    """Once more with the best settings, and handed over to Kfops. The image is known when the package is built."""
    return dsl.ContainerSpec(
        image=IMAGE,
        command=["python", "examples/trial.py"],
        args=["--data", data, "--settings", settings, "--model", model.path, "--metrics", metrics.path],
    )


@dsl.pipeline(name="churn-tuned", description="Which customers are about to leave? Tuned by Katib.")
def churn_tuned(
    data: str = "data/churn.csv",
    namespace: str = "kubeflow",
    space: dict = SPACE,
    metric: str = "roc_auc",
    trials: int = 12,
    parallel: int = 3,
):
    """Tune and train a model of customer churn.

    Args:
        data: The table: a path in the image, or of a data set.
        namespace: Where the trials run.
        space: What is searched: {"learning_rate": {"double": [0.01, 0.3]}}.
        metric: What the search makes best.
        trials: How many trainings at most.
        parallel: How many of them at a time.
    """
    tuned = tune(
        run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        namespace=namespace,
        image=IMAGE,
        data=data,
        space=space,
        metric=metric,
        trials=trials,
        parallel=parallel,
    ).set_caching_options(enable_caching=False)
    train(data=data, settings=tuned.output)
