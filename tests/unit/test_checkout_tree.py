"""A checkout is looked at whole, or not taken."""

from __future__ import annotations

import os

import pytest

from kfops.adapters.github.tree import remove_leaving_links
from kfops.ports.errors import Refused

PART = "d" * 200
LINK = "l" * 255  # longer than what any folder near the limit leaves room for


def deep(folder, levels):
    """Folders below one another, deeper than a path can say, with a link out at the end."""
    here = os.open(folder, os.O_RDONLY)
    for _ in range(levels):
        os.mkdir(PART, dir_fd=here)
        below = os.open(PART, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.symlink("/etc/hostname", LINK, dir_fd=here)
    os.close(here)


@pytest.mark.parametrize("beyond", ["the link", "its folder"])
def test_r11_a_link_whose_path_is_too_long_to_look_at_is_refused_with_a_sentence(tmp_path, beyond):
    room = os.pathconf(tmp_path, "PC_PATH_MAX") - len(str(tmp_path)) - 2
    deep(tmp_path, room // (len(PART) + 1) + (2 if beyond == "its folder" else 0))
    with pytest.raises(
        Refused, match=r"has a path that cannot be looked at here .* File name too long"
    ) as said:
        remove_leaving_links(tmp_path)
    assert "shorter paths" in said.value.fix


def test_r11_links_that_lead_out_are_removed_and_others_stay(tmp_path):
    (tmp_path / "inner").mkdir()
    (tmp_path / "inner" / "out").symlink_to("../../elsewhere")
    (tmp_path / "in").symlink_to("inner")
    assert remove_leaving_links(tmp_path) == ("inner/out",)
    assert (tmp_path / "in").is_symlink()
