"""R17, R15: what the operator reads when something fails has the place, no value that was at hand there, and no secret."""

from __future__ import annotations

import pytest
import structlog

from kfops.logs import beside, plain


@pytest.fixture(autouse=True)
def as_before():
    yield
    structlog.reset_defaults()
    plain()


def fails(token: str) -> None:
    raise ValueError(f"no answer after {len(token)} tries")


def refuses(said: str) -> None:
    raise ValueError(said)


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


FORGED = "2026-11-21T09:00:00Z [info     ] ended                          operation=7 outcome=succeeded"
TOKEN = "ghp_" + "a1B2" * 9
HOSTILE = [
    f"refused\n{FORGED}",
    f"refused\r{FORGED}",
    f"refused\u2028{FORGED}",
    "\x1b[2J\x1b]0;title\x07gone",
    "\x9b2Jgone",
    "\u202edesrever",
]


@pytest.mark.parametrize("configured", [plain, beside])
@pytest.mark.parametrize("said", HOSTILE)
def test_r15_what_others_said_stays_within_its_line_of_the_log(capsys, configured, said):
    configured()
    structlog.get_logger().warning("ended untold", operation=7, error=said, found=[said])

    out, err = capsys.readouterr()
    lines = (out + err).splitlines()
    assert len(lines) == 1
    assert "ended untold" in lines[0]
    assert lines[0].isprintable()


@pytest.mark.parametrize("said", HOSTILE)
def test_r15_no_line_of_a_traceback_looks_like_one_of_the_log(capsys, said):
    plain()
    try:
        refuses(said)
    except ValueError:
        structlog.get_logger().exception("defect", operation=7)

    first, *others = capsys.readouterr().out.splitlines()
    assert "defect" in first
    assert all(line == "" or line.startswith("    ") for line in others)
    assert all(line.isprintable() for line in others)


def test_r15_neither_a_line_nor_a_traceback_shows_a_secret(capsys):
    plain(("hunter22",))
    log = structlog.get_logger()
    log.info("later", error=f"postgresql://kfops:hunter22@db {TOKEN}", found={"why": ["hunter22"]})
    try:
        refuses(f"no answer to hunter22 {TOKEN}")
    except ValueError:
        log.exception("defect")

    said = capsys.readouterr().out
    assert "no answer to ***" in said
    assert "hunter22" not in said
    assert TOKEN not in said
