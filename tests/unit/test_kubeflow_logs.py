"""What is asked of the log of a step's pod: its end, and no more than the bot can hold."""

from __future__ import annotations

from kfops.adapters.kubeflow.pods import NODE, RunPods


class Cluster:
    """One pod, whose log has one line for each thing that was asked about it."""

    def list(self, path, labels):
        return [{"metadata": {"name": "p", "annotations": {NODE: "churn.root.train.executor"}}}]

    def text(self, path, query):
        return "\n".join(f"{name}={value}" for name, value in query.items())


def test_r11_a_log_is_read_up_to_a_size_whatever_its_lines_are():
    lines = RunPods(Cluster(), "runs").lines("run-1", "train")
    assert lines == ("container=main", "tailLines=400", f"limitBytes={1 << 20}")
