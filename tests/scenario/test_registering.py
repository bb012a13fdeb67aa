"""`models.registered_by: pipeline`: teams whose pipelines register their models themselves."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from tests.support.in_memory.pipelines import MODEL_FILE
from tests.support.world import CONFIG, World, model, world

from kfops.domain.model_version import Alias, Artifact
from kfops.ports.models import RunRecord

BY_PIPELINE = f"{CONFIG}models: {{registered_by: pipeline}}\n"


@pytest.fixture
def here(tmp_path):
    with world(tmp_path, config=BY_PIPELINE) as made:
        yield made


def asked(here: World) -> tuple[int, int]:
    number = here.pull_request("ana", model(roc_auc=0.84, inputs={"kfops_run_id": "0"}))
    return number, here.comment(number, "/build_run")


def registered(here: World, commit: str, run: str) -> None:
    """What a step of the pipeline does with MLflow's own client."""
    folder = here.folder / f"own-{run}"
    folder.mkdir()
    (folder / "MLmodel").write_text("flavors: {}\n")
    (folder / MODEL_FILE).write_text(json.dumps({"answers": "well", "roc_auc": 0.84}))
    heldout = here.folder / f"heldout-{run}.csv"
    heldout.write_text("tenure,churn\n1,0\n2,1\n")
    here.models.record(
        RunRecord(
            model="churn",
            operation=f"the pipeline's {run}",
            name="own",
            started_at=here.clock.at,
            ended_at=here.clock.at,
            artifacts={Artifact.MODEL: folder, Artifact.HELDOUT: heldout},
            tags={"git_commit": commit, "kfops.run_id": run},
        )
    )


def test_what_the_pipeline_registered_is_compared_deployed_and_tagged(here):
    number, comment = asked(here)
    here.turn(timedelta(seconds=1))
    told = here.operation(comment).facts["values"]["kfops_run_id"]
    registered(here, here.pull(number).head_sha, told)
    here.settle()

    assert here.reactions(comment) == ["eyes", "rocket"]
    assert "0.84" in here.reply(number)
    assert here.models.registered == 1
    version = here.models.by_alias("churn", Alias.CHALLENGER)
    assert (version.tags["kfops.run_id"], version.tags["requested_by"]) == (told, "ana")

    here.comment(number, "/deploy")
    here.settle()
    assert here.serving().stable.digest == version.digest
    assert here.pull(number).is_merged


@pytest.mark.parametrize("wrong", ["commit", "run", "nothing"])
def test_r13_a_version_without_the_tags_of_this_run_is_none_of_its_own(here, wrong):
    number, comment = asked(here)
    here.turn(timedelta(seconds=1))
    head, told = here.pull(number).head_sha, here.operation(comment).facts["values"]["kfops_run_id"]
    if wrong != "nothing":
        registered(here, "0" * 40 if wrong == "commit" else head, "4711" if wrong == "run" else told)
    here.settle()

    assert here.reactions(comment) == ["eyes", "confused"]
    assert "`no_model`" in here.reply(number)
    assert "registered no version of churn with the tags" in here.reply(number)
    here.comment(number, "/deploy")
    here.settle()
    assert "`no_run`" in here.reply(number)
