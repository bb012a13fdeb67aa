"""Which file of the commit is read for `pipeline.requirements`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from kfops.config.policy import OPEN_POLICY
from kfops.domain.facts import RunFacts
from kfops.ports.environments import EnvironmentOrder, NotMade
from kfops.workflow.runs.environment import _order


@pytest.fixture
def read(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "real" / "requirements.txt").write_text("pandas\n")
    (tmp_path / "folder").symlink_to("real")
    (tmp_path / "link.txt").symlink_to("real/requirements.txt")
    context = SimpleNamespace(source_dir=tmp_path, options=SimpleNamespace(policy=OPEN_POLICY))

    def order(file):
        return _order(context, RunFacts(), SimpleNamespace(pipeline=SimpleNamespace(requirements=file)))

    return order


def test_a_plain_file_is_read(read):
    assert read("real/requirements.txt") == EnvironmentOrder(
        "pandas\n", "real/requirements.txt", (), is_granted=True
    )


@pytest.mark.parametrize("file", ["folder/requirements.txt", "link.txt", "real", "nothing.txt"])
def test_r11_no_link_is_followed_to_it(read, file):
    refused = read(file)
    assert isinstance(refused, NotMade)
    assert f"{file} is no file of at most" in refused.summary
