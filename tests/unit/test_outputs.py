"""Paths below a folder of foreign code's: nothing above it is looked at, whichever part says so."""

from __future__ import annotations

import pytest

from kfops.adapters.local.confined import Ended
from kfops.adapters.local.outputs import copy_output, exists, read_output
from kfops.adapters.local.pipelines.compiling import _understood
from kfops.ports.errors import Refused
from kfops.ports.pipelines import CompileOrder


@pytest.fixture
def inner(tmp_path):
    (tmp_path / "secret").write_text("of the bot")
    (tmp_path / "outer" / "inner").mkdir(parents=True)
    (tmp_path / "outer" / "inner" / "file.py").write_text("own")
    return tmp_path / "outer" / "inner"


@pytest.mark.parametrize("path", ["..", "../..", "a/..", "", ".", "/", "../../secret"])
def test_r11_a_path_that_leads_up_is_refused_whichever_part_it_is(inner, tmp_path, path):
    (inner / "a").mkdir()
    assert not exists(inner, path)
    with pytest.raises(Refused, match="expected a path below the folder"):
        read_output(inner, path, 100)
    with pytest.raises(Refused, match="expected a path below the folder"):
        copy_output(inner, path, tmp_path / "copy", largest=100)
    assert not (tmp_path / "copy").exists()


@pytest.mark.parametrize("told", ["/etc/hostname", "../../secret", "nul\0", "nothing.py", "link.py", 7])
def test_r11_a_pipelines_process_does_not_learn_which_files_the_bot_has(inner, tmp_path, told):
    (inner / "link.py").symlink_to(tmp_path / "secret")
    order = CompileOrder(inner, "pipeline.py", tmp_path / "out")
    failure = _understood(Ended(1, {"error": "no", "file": told, "line": 3}, ""), order)
    assert failure.path == "pipeline.py"


def test_a_place_in_the_repository_is_told(inner, tmp_path):
    order = CompileOrder(inner, "pipeline.py", tmp_path / "out")
    failure = _understood(Ended(1, {"error": "no", "file": "file.py", "line": 3}, ""), order)
    assert (failure.path, failure.line) == ("file.py", 3)
