"""Train on several machines with Kubeflow Trainer: PyTorch's own way of sharing the work, `torchrun`.

    kfc build-run --kubeflow-url https://… --set pipeline.source=examples/distributed.py --set nodes=4

The image has PyTorch and this repository; each node runs `examples/train_torch.py`. What the first of them writes with
`--out` has to lie where it outlives the node: on a volume of the runtime's, or in a bucket.
"""

import os

from kfp import dsl

IMAGE = os.environ.get("KFOPS_IMAGE_TRAINER", "registry.example.com/ml/trainer")


@dsl.component(
    base_image="python:3.11-slim",
    packages_to_install=["kubernetes>=30,<31"],
    install_kfp_package=False,
    embedded_artifact_path="examples/cluster",
)
def train_together(
    run: str,
    namespace: str,
    image: str,
    command: list,
    nodes: int,
    resources: dict,
    runtime: str,
    code: dsl.EmbeddedInput[dsl.Artifact],
    poll_seconds: float = 10.0,
) -> str:
    """Have the Trainer run the command on all nodes, and wait for them; the job's name."""
    from objects import custom_objects, work
    from trainer import PLURAL, told, train_job, verdict

    name = f"train-{run[:8]}"
    document = train_job(
        name,
        namespace,
        image=image,
        command=command,
        nodes=nodes,
        runtime=runtime,
        resources={key: str(value) for key, value in resources.items()},
        environment={"KFOPS_RUN": run},
    )
    said = []

    def tell(status):
        if not said or said[-1] != told(status):
            said.append(told(status))
            print(f"{name}: {said[-1]}", flush=True)

    work(custom_objects(), document, PLURAL, verdict, tell=tell, poll_seconds=poll_seconds)
    return name


@dsl.pipeline(
    name="churn-distributed", description="Which customers are about to leave? Trained on several machines."
)
def churn_distributed(
    image: str = IMAGE,
    namespace: str = "kubeflow",
    command: list = ["torchrun", "examples/train_torch.py", "--data=data/churn.csv"],  # noqa: B006 - KFP reads the default
    nodes: int = 2,
    resources: dict = {"cpu": "2", "memory": "4Gi"},  # noqa: B006
    runtime: str = "torch-distributed",
):
    """Train on several machines.

    Args:
        image: The repository's image, with PyTorch.
        namespace: Where the nodes run.
        command: What each of them runs.
        nodes: How many.
        resources: Of one node.
        runtime: The ClusterTrainingRuntime.
    """
    train_together(
        run=dsl.PIPELINE_JOB_ID_PLACEHOLDER,
        namespace=namespace,
        image=image,
        command=command,
        nodes=nodes,
        resources=resources,
        runtime=runtime,
    ).set_caching_options(enable_caching=False)
