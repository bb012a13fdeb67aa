"""R17: what the operator reads when something fails has the place, and no value that was at hand there."""

from __future__ import annotations

import pytest
import structlog

from kfops.logs import plain


@pytest.fixture(autouse=True)
def as_before():
    yield
    structlog.reset_defaults()


def fails(token: str) -> None:
    raise ValueError(f"no answer after {len(token)} tries")


def test_r17_a_traceback_shows_no_variables(capsys):
    plain()
    token = "ghs-very-secret"
    try:
        fails(token)
    except ValueError:
        structlog.get_logger().exception("defect", operation=7)

    said = capsys.readouterr().out
    assert "defect" in said
    assert "operation=7" in said
    assert "ValueError: no answer after 15 tries" in said
    assert "in fails" in said
    assert token not in said
