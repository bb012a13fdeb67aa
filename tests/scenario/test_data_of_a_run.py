"""Data outside of the repository: what a run may read, whoever asks for it (R10)."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from tests.support.world import CONFIG, World, model, world

from kfops.config.policy import load_policy
from kfops.ports.errors import Refused

CONFIGURED = CONFIG.replace("overridable: [seed]", "overridable: [seed, data, other]")
POLICY = """
version: 1
repositories:
  olga/churn:
    models: [churn]
    namespaces: [churn, churn-staging]
    data_prefixes: [s3://ml/churn/]
"""


@dataclass
class Storage:
    """A storage that has whatever it is asked for, but what is named `absent`."""

    asked: list[str] = field(default_factory=list)

    def fetch(self, address: str, into: Path) -> Path:
        self.asked.append(address)
        if address.endswith("absent.csv"):
            raise Refused(f"{address} is not there", fix="look at the address")
        target = into / address.rpartition("/")[2]
        target.write_text("tenure,churn\n1,0\n")
        return target


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, config=CONFIGURED) as made:
        yield made


def granted(here: World, policy: str = POLICY) -> Storage:
    storage = Storage()
    here.ports = replace(here.ports, data_files=storage)
    here.options = replace(here.options, policy=load_policy(policy.encode(), filename="policy.yaml"))
    return storage


def run(here: World, *settings: str) -> str:
    number = here.pull_request(
        "ana", model(roc_auc=0.84, inputs={"seed": 3, "data": "data/churn.csv", "other": ""})
    )
    here.comment(number, " ".join(["/build_run", *(f"--set {one}" for one in settings)]), by="ana")
    here.settle()
    return str(here.reply(number))


def test_r10_granted_data_are_fetched_by_the_bot_and_the_steps_get_a_file(here):
    storage = granted(here)

    assert "0.84" in run(here, "data=s3://ml/churn/june.csv")
    assert storage.asked == ["s3://ml/churn/june.csv"]


@pytest.mark.parametrize("name", ["/outside", "../../../up"])
def test_r11_the_name_of_an_input_is_no_path(here, name):
    granted(here)
    own = here.options.data_dir.absolute()
    name = f"{own}{name}" if name.startswith("/") else name
    outside = here.pull_request("ana", model(roc_auc=0.84, inputs={name: "s3://ml/churn/june.csv"}))
    here.comment(outside, "/build_run", by="ana")
    here.settle()

    places = {file.parent.parent.name for file in own.rglob("june.csv")}
    assert places == {"data"}


def test_r10_data_that_the_pipeline_itself_names_are_fetched_too(here):
    storage = granted(here)
    inputs = {"seed": 3, "data": "s3://ml/churn/june.csv", "other": "s3://ml/churn/names.csv"}
    number = here.pull_request("ana", model(roc_auc=0.84, inputs=inputs))
    here.comment(number, "/build_run --set other=s3://ml/churn/more.csv", by="ana")
    here.settle()

    assert "0.84" in here.reply(number)
    assert sorted(storage.asked) == ["s3://ml/churn/june.csv", "s3://ml/churn/more.csv"]


@pytest.mark.parametrize(
    "location",
    [
        "s3://ml/fraud/june.csv",
        "s3://ml/churn/../fraud/june.csv",
        "/etc/passwd",
        "file:///etc/passwd",
        "../other.csv",
    ],
)
def test_r10_data_of_another_team_are_refused_before_anything_runs(here, location):
    storage = granted(here)

    reply = run(here, f"data={location}")
    assert "no right to this data" in reply or "leaves its folder" in reply
    assert "policy" in reply
    assert storage.asked == []


def test_r10_an_address_in_another_parameter_is_no_way_around(here):
    storage = granted(here)

    assert "no right to this data" in run(here, "other=s3://ml/fraud/june.csv")
    assert storage.asked == []


def test_data_that_are_not_there_are_told_with_what_to_look_at(here):
    granted(here)

    reply = run(here, "data=s3://ml/churn/absent.csv")
    assert "is not there" in reply
    assert "look at the address" in reply


def test_a_server_without_storage_says_so(here):
    granted(here)
    here.ports = replace(here.ports, data_files=None)

    assert "fetches no data" in run(here, "data=s3://ml/churn/june.csv")


def test_data_of_the_repository_itself_need_nobodys_leave(here):
    storage = granted(here)

    assert "0.84" in run(here)
    assert storage.asked == []
