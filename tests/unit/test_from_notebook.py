"""A notebook becomes a component; whatever does not do is told with its cell."""

from __future__ import annotations

import importlib.util
import json
import warnings
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from kfops.cli.exits import Exit, Stop
from kfops.cli.notebook.component import Asked, component
from kfops.cli.notebook.writing import write

EXAMPLE = Path(__file__).parents[2] / "pipeline_template" / "examples" / "explore.ipynb"


def notebook(folder: Path, *cells: tuple[str, str] | str) -> Path:
    """`(tags, source)` each; tags parted by blanks. Plain text is a text cell."""
    import nbformat

    made = nbformat.v4.new_notebook()
    for cell in cells:
        if isinstance(cell, str):
            made.cells.append(nbformat.v4.new_markdown_cell(cell))
        else:
            made.cells.append(nbformat.v4.new_code_cell(cell[1], metadata={"tags": cell[0].split()}))
    path = folder / "work.ipynb"
    nbformat.write(made, path)
    return path


def made_of(folder: Path, *cells: tuple[str, str] | str, **asked: Any) -> str:
    return component(Asked(notebook(folder, *cells), "work", **asked))


def function_of(text: str) -> Any:
    """What the step runs, without KFP around it."""
    head, _, rest = text.partition("@dsl.component")
    decorator, _, body = rest.partition("\ndef ")
    assert decorator.endswith(")")
    names: dict[str, Any] = {"dsl": SimpleNamespace(Output=_Any(), Metrics=None, Artifact=None)}
    exec(f"{head.partition('from kfp')[0]}\ndef {body}", names)  # noqa: S102 - the very text
    return names["work"]


class _Any:
    def __getitem__(self, _: Any) -> None: ...


class Metrics:
    def __init__(self, path: Path) -> None:
        self.path, self.logged = str(path), dict[str, float]()

    def log_metric(self, name: str, value: float) -> None:
        self.logged[name] = value


WHOLE = (
    "# A look",
    ("imports", "import math"),
    ("functions", "def twice(x):\n    return scale * math.floor(x)"),
    ("pipeline-parameters", "scale: int = 2\nrows = [1, 2.5]\nname = 'a'"),
    ("block:sum prev:double", "total = sum(doubled)"),
    ("skip", "%matplotlib inline\n!ls"),
    ("block:double", "doubled = [twice(x) for x in rows]"),
    ("", "text = '''first\n  second\nthird'''"),
    ("pipeline-metrics", "total\nprint(scale)"),
)


def test_its_blocks_are_done_in_their_order_and_its_numbers_handed_over(tmp_path):
    text = made_of(tmp_path, *WHOLE)
    metrics = Metrics(tmp_path / "metrics.json")
    work = function_of(text)
    work(metrics)
    assert metrics.logged == {"total": 6.0, "scale": 2.0}
    work(metrics, scale=10, rows=[3])
    assert json.loads((tmp_path / "metrics.json").read_text()) == {"total": 30.0, "scale": 10.0}
    assert text.index("# cell 7, block:double") < text.index("# cell 5, block:sum")
    assert "%matplotlib" not in text


def test_what_the_notebook_calls_metrics_is_its_own(tmp_path):
    metrics = Metrics(tmp_path / "metrics.json")
    made = made_of(
        tmp_path,
        ("imports", "import math as metrics"),
        ("block:x", "a = metrics.floor(1.5)"),
        ("pipeline-metrics", "a"),
    )
    function_of(made)(metrics)
    assert metrics.logged == {"a": 1.0}


def test_a_text_of_several_lines_stays_as_it_is(tmp_path):
    text = made_of(tmp_path, *WHOLE)
    assert "'''first\n  second\nthird'''" in text


def test_the_parameters_have_the_types_of_their_values(tmp_path):
    text = made_of(
        tmp_path,
        ("pipeline-parameters", "a = 1\nb = 1.5\nc = 'x'\nd = True\ne = [1]\nf = {}"),
        ("block:x", "a"),
    )
    for line in (
        "a: int = 1,",
        "b: float = 1.5,",
        "c: str = 'x',",
        "d: bool = True,",
        "e: list = [1],",
        "f: dict = {},",
    ):
        assert f"    {line}\n" in text


def test_the_example_compiles_and_runs_as_a_step(tmp_path):
    out = tmp_path / "components" / "explore.py"
    answer, lines = write(Asked(EXAMPLE, "explore", ("report",), ("pandas",)), out)
    assert answer == {"component": "explore", "file": str(out)}
    assert lines[1] == "use it: from components.explore import explore"
    spec = importlib.util.spec_from_file_location("explore_made", out)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        spec.loader.exec_module(module)
    made = module.explore
    inputs = made.component_spec.inputs
    assert {name: (one.type, one.default) for name, one in inputs.items()} == {
        "data_path": ("String", "data/churn.csv"),
        "target": ("String", "churn"),
        "by": ("List", ["contract", "payment_method"]),
        "least": ("Integer", 50),
    }
    metrics = Metrics(tmp_path / "metrics.json")
    table = EXAMPLE.parents[1] / "data" / "churn.csv"
    made.python_func(
        SimpleNamespace(path=str(tmp_path / "report.json")), metrics, str(table), "churn", ["contract"], 50
    )
    assert 0.26 < metrics.logged["overall"] < 0.27 < metrics.logged["highest"]
    assert json.loads((tmp_path / "report.json").read_text())["groups"].keys() >= {"contract=Two year"}


PARAMETERS = ("pipeline-parameters", "a = 1")
BLOCK = ("block:x", "b = 1")
WRONG: dict[str, tuple[tuple[tuple[str, str] | str, ...], str, str]] = {
    "a tag that is mistyped": ((("blok:train", "a = 1"),), "cell 1: there is no tag 'blok:train'", "Did you mean block:train?"),
    "a tag of another kind": (("text", ("Importss", "import os")), "cell 2: there is no tag", "Did you mean imports?"),
    "two roles": ((("imports block:a", "import os"),), "cell 1: it cannot be imports and block:a", "Split the cell"),
    "no tag at first": ((("", "a = 1"), BLOCK), "cell 1: it has no tag", "Tag it imports, functions"),
    "prev without a block": ((BLOCK, ("functions prev:x", "c = 1")), "cell 2: `prev:` is for blocks", "block:NAME"),
    "prev of nothing": ((BLOCK, ("block:y prev:z", "c = 1")), "cell 2: `prev:z` names no block", "There are x, y."),
    "a circle": ((("block:x prev:y", "b = 1"), ("block:y prev:x", "c = 1")), "the blocks x, y wait for each other", "Take"),
    "a name of a block": ((("block:a b", "b = 1"), BLOCK), "cell 1: there is no tag 'b'", ""),
    "a magic": ((("block:x", "a = 1\n%time b = 2"),), "cell 1, line 2: `%time b = 2` is for notebooks only", "skip"),
    "a shell line": ((("imports", "!pip install x"), BLOCK), "cell 1, line 1: `!pip install x`", "--package"),
    "no Python": ((BLOCK, ("block:y", "if True\n    a = 1")), "cell 2, line 1: this is not Python", ""),
    "a computed parameter": ((("pipeline-parameters", "a = 1\nb = a + 1"), BLOCK), "cell 1, line 2: the value of `b` is computed: `a + 1`", "Write"),
    "a parameter of no type": ((("pipeline-parameters", "a = None"), BLOCK), "the value of `a` is None", "gets its type"),
    "a call among the parameters": ((("pipeline-parameters", "print(1)"), BLOCK), "cell 1, line 1: `print(1)` is no `name = value`", "functions"),
    "a parameter twice": ((PARAMETERS, ("pipeline-parameters", "a = 2"), BLOCK), "cell 2: `a` is a parameter already, by cell 1", ""),
    "a parameter named as an output": ((("pipeline-parameters", "metrics = 1"), BLOCK), "cell 1: `metrics` is the name of an output", "another name"),
    "a computed metric": ((BLOCK, ("pipeline-metrics", "b + 1")), "cell 2, line 1: `b + 1` is no metric", "bare"),
    "a star": ((("imports", "from math import *"), BLOCK), "cell 1, line 1: `from math import *` cannot stand in a step", "by name"),
    "what only the notebook knows": ((("skip", "df = 1"), ("block:x", "a = 1\nb = df")), "cell 2, line 2: `df` is used, and no cell that is taken defines it", "skip"),
    "nothing to do": ((PARAMETERS,), "no cell is tagged block:NAME", ""),
}  # fmt: skip


@pytest.mark.parametrize(("cells", "said", "hint"), WRONG.values(), ids=WRONG)
def test_what_does_not_do_is_told_with_its_cell(tmp_path, cells, said, hint):
    with pytest.raises(Stop) as stop:
        made_of(tmp_path, *cells)
    assert stop.value.code is Exit.CONFIGURATION
    assert "work.ipynb" in stop.value.lines[0]
    assert said in stop.value.lines[0]
    assert hint in "\n".join(stop.value.lines)


@pytest.mark.parametrize(
    "content", ["", "{}", "no JSON", '{"cells": 1}', '{"nbformat": 4, "metadata": {}, "cells": [{}]}']
)
def test_what_is_no_notebook_is_told(tmp_path, content):
    path = tmp_path / "x.ipynb"
    path.write_text(content)
    with pytest.raises(Stop, match="is no Jupyter notebook"):
        component(Asked(path, "x"))


def test_an_output_needs_its_place_in_the_notebook(tmp_path):
    with pytest.raises(Stop, match="has no parameter `model_path`"):
        made_of(tmp_path, PARAMETERS, BLOCK, outputs=("model",))


def test_a_file_that_a_person_wrote_is_not_written_over(tmp_path):
    asked, out = Asked(notebook(tmp_path, BLOCK), "work"), tmp_path / "work.py"
    write(asked, out)
    write(asked, out)
    out.write_text("x = 1\n")
    with pytest.raises(Stop, match="was not made from a notebook"):
        write(asked, out)
    assert out.read_text() == "x = 1\n"
