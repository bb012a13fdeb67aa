"""What the pull requests of the scene change, as edits of the template's text."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from kfops.demo.story import SceneError

UNKNOWN_PAYMENT = "Crypto wallet"
"""A way to pay that no table shows and that callers begin to send."""

# Short, so that the scene is: with some 60 requests a second the evidence for δ = 0.1 is there in ten seconds. One
# machine trains, serves and calls at once, so latency has wide bounds.
CANARY = {
    "steps": [5, 25, 50],
    "hold": "3s",
    "min_requests": 60,
    "max_error_increase": 0.1,
    "max_latency_ratio": 20,
    "patience": "3m",
    "ask_timeout": "30s",
    "watch": "2s",
}


@dataclass(frozen=True)
class Variant:
    """A branch with its pull request: `edit` changes files of a work tree."""

    branch: str
    title: str
    body: str
    edit: Callable[[Path], None]


def shorten(folder: Path) -> None:
    """The demo's own rules, and a search that ends soon and always alike."""
    path = folder / "kfops.yaml"
    content: dict[str, Any] = yaml.safe_load(path.read_text())
    content["pipeline"]["parameters"] |= {"time_budget": 0, "max_iter": 2}
    content["deployment"]["canary"] = CANARY
    content["deployment"]["check"] = {"timeout": "10s"}
    path.write_text("# The bounds are short, for a demo.\n" + yaml.safe_dump(content, sort_keys=False))


def _first_model(folder: Path) -> None:
    _replace(
        folder / "model" / "training.py",
        'LEARNERS = ["lgbm", "rf", "extra_tree", "lrl1"]',
        'LEARNERS = ["lrl1"]  # to begin with, a model that one can read',
    )


def _better_features(folder: Path) -> None:
    path = folder / "model" / "features.py"
    _replace(path, "import pandas as pd\n", "import numpy as np\nimport pandas as pd\n")
    _replace(
        path,
        "    return rows\n",
        """    expected = rows["tenure"] * rows["monthly_charges"]
    rows["total_charges"] = rows["total_charges"].fillna(expected)  # a new customer has not been billed yet
    rows["charged_beyond"] = rows["total_charges"] - expected
    rows["log_tenure"] = np.log1p(rows["tenure"])  # the first months decide
    return rows
""",
    )


def _strict_payment(folder: Path) -> None:
    path = folder / "model" / "features.py"
    _replace(
        path,
        "\n\ndef add_columns",
        """
PAYS_BY_ITSELF = {
    "Electronic check": 0,
    "Mailed check": 0,
    "Bank transfer (automatic)": 1,
    "Credit card (automatic)": 1,
}


def add_columns""",
    )
    _replace(
        path,
        "    return rows\n",
        '    rows["pays_by_itself"] = [PAYS_BY_ITSELF[method] for method in rows["payment_method"]]\n    return rows\n',
    )


def _misspelt(folder: Path) -> None:
    _replace(folder / "pipeline.py", "    trained = train(", "    trained = trian(")


FIRST = Variant(
    "first-model",
    "The first model: a logistic regression",
    "To begin with, a model that one can read.",
    _first_model,
)
BETTER = Variant(
    "better-features",
    "Better preprocessing: charges and tenure",
    "Missing charges follow from tenure and price; the first months count most.",
    _better_features,
)
STRICT = Variant(
    "pays-by-itself",
    "A feature: does the customer pay without doing anything?",
    "Two of the four ways to pay need no action of the customer.",
    _strict_payment,
)
BROKEN = Variant("tidy-up", "Tidy the pipeline up", "Only wording.", _misspelt)


def _replace(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    if text.count(old) != 1:
        raise SceneError(
            f"{path.name} holds {old.strip()!r} {text.count(old)} times; expected once: the template has changed"
        )
    path.write_text(text.replace(old, new))
