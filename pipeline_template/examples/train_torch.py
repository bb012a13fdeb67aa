"""A network trained by all nodes together: what each node of `distributed.py` runs, by torchrun.

    torchrun --nproc-per-node=2 examples/train_torch.py --data data/churn.csv --epochs 20

Every process takes its share of the rows and goes the same way down: gradients are averaged at each step. The first
one tells the score on the held-out rows and writes what `--out` names.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path

import pandas as pd
import torch
from torch import distributed, nn
from torch.nn.parallel import DistributedDataParallel
from torch.utils.data import DataLoader, DistributedSampler, TensorDataset

sys.path.insert(0, str(Path(__file__).parents[1] / "model"))
TARGET, IGNORED = "churn", ["customer_id"]


def tensors(data: str) -> tuple[TensorDataset, torch.Tensor, list[bool]]:
    """The rows to learn from; the held-out ones, and which of them left."""
    from features import preprocessing

    from data import ROW, read, split

    rows, held_out, _ = split(read(data), TARGET)
    inputs = rows.drop(columns=[TARGET, *IGNORED])
    steps = preprocessing(inputs).fit(inputs)
    known = torch.tensor((rows[TARGET] == "Yes").to_numpy(), dtype=torch.float32)
    unseen = steps.transform(held_out.drop(columns=[TARGET, ROW, *IGNORED]))
    return (
        TensorDataset(torch.tensor(steps.transform(inputs), dtype=torch.float32), known),
        torch.tensor(unseen, dtype=torch.float32),
        (held_out[TARGET] == "Yes").tolist(),
    )


def roc_auc(chances: list[float], truth: list[bool]) -> float:
    """By ranks (Mann-Whitney): how often one who left is ranked above one who stayed."""
    ranks = pd.Series(chances).rank()
    left = pd.Series(truth)
    return float((ranks[left].sum() - left.sum() * (left.sum() + 1) / 2) / (left.sum() * (~left).sum()))


def train(data: str, epochs: int, seed: int) -> tuple[nn.Module, float]:
    torch.manual_seed(seed)  # the same weights to begin with, everywhere
    table, unseen, truth = tensors(data)
    network = nn.Sequential(nn.Linear(table.tensors[0].shape[1], 32), nn.ReLU(), nn.Linear(32, 1))
    shared = DistributedDataParallel(network)
    sampler = DistributedSampler(table, seed=seed)
    batches = DataLoader(table, batch_size=256, sampler=sampler)
    optimizer = torch.optim.Adam(shared.parameters(), lr=0.01)
    for epoch in range(epochs):
        sampler.set_epoch(epoch)
        for rows, left in batches:
            optimizer.zero_grad()
            loss = nn.functional.binary_cross_entropy_with_logits(shared(rows).squeeze(1), left)
            loss.backward()
            optimizer.step()
        if distributed.get_rank() == 0:
            print(f"epoch {epoch + 1} of {epochs}: loss {loss.item():.4f}", flush=True)
    with torch.no_grad():
        chances = network(unseen).squeeze(1).tolist()
    return network, roc_auc(chances, truth)


def main() -> None:
    words = argparse.ArgumentParser()
    words.add_argument("--data", required=True)
    words.add_argument("--epochs", type=int, default=20)
    words.add_argument("--seed", type=int, default=7)
    words.add_argument("--out", help="a folder for the weights and the scores")
    said = words.parse_args()
    distributed.init_process_group("gloo")  # "nccl", with the network and its rows on their device, for GPUs
    try:
        network, score = train(said.data, said.epochs, said.seed)
        if distributed.get_rank() == 0:
            print(f"{distributed.get_world_size()} processes: roc_auc={score:.6f}", flush=True)
            if said.out:
                Path(said.out).mkdir(parents=True, exist_ok=True)
                torch.save(network.state_dict(), Path(said.out) / "weights.pt")
                (Path(said.out) / "metrics.json").write_text(json.dumps({"roc_auc": score}))
    finally:
        distributed.destroy_process_group()


if __name__ == "__main__":
    main()
