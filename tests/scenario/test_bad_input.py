"""Files of a commit that are not what kfops.yaml says: told at once, before anything is trained.

Elsewhere, by what is wrong: kfops.yaml itself in unit/test_config_load.py; a pipeline file that raises, loops, writes
outside or looks for secrets in contract/test_local_pipelines.py; parameters there and in scenario/test_kfc.py; a
delivery without a signature or over the limit in unit/test_webhook_app.py.
"""

from __future__ import annotations

import pytest
from tests.support.world import CONFIG, World, model, world

WITH_DATA = CONFIG.replace(
    "{source: pipeline.py,", "{source: pipeline.py, parameters: {data: data/churn.csv},"
)
TABLE = "tenure,churn\n1,0\n"


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, config=WITH_DATA) as made:
        yield made


def run(here: World, change: dict[str, str | None], command: str = "/build_run") -> str:
    inputs = model(roc_auc=0.84, inputs={"seed": 3, "data": "data/churn.csv"})
    number = here.pull_request("ana", {**inputs, "data/churn.csv": TABLE, **change})
    here.comment(number, command, by="ana")
    here.settle()
    return str(here.reply(number))


def test_a_commit_that_is_well_is_run(here):
    assert "0.84" in run(here, {})


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("not JSON", "is no JSON"),
        ("[" * 5_000, "is no JSON"),
        ("[" + "1," * 600_000 + "1]", "at most 1048576 bytes"),
        (None, "no file of this commit"),
    ],
    ids=["no JSON", "too deep", "too large", "missing"],
)
def test_a_sample_request_that_is_none_is_told_with_its_file(here, content, words):
    reply = run(here, {"samples/request.json": content})

    assert "samples/request.json" in reply
    assert words in reply
    assert "config_invalid" in reply


def test_data_without_the_target_are_told_with_the_columns_that_there_are(here):
    reply = run(here, {"data/churn.csv": "tenure,left\n1,0\n"})

    assert "no column" in reply
    assert "data.target" in reply
    assert "tenure, left" in reply


def test_an_empty_table_has_no_columns(here):
    assert "no columns" in run(here, {"data/churn.csv": ""})
