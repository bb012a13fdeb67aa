"""What a sandbox's pod wrote is foreign text: whatever it says, reading it is bounded, and torn frames are told."""

from __future__ import annotations

import base64
import hashlib
import json
import zlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kfops.adapters.kubernetes.sandbox.report import LARGEST_LOG, Report, read_report


def frame(content: bytes, *, size: int | None = None, digest: str = "") -> str:
    text = base64.b64encode(content).decode()
    said = digest or hashlib.sha256(content).hexdigest()
    end = f"-----END KFOPS REPORT {len(content) if size is None else size} {said}-----"
    return f"-----BEGIN KFOPS REPORT-----\n{text}\n{end}\n"


def packed(report: Any) -> bytes:
    return zlib.compress(json.dumps(report).encode())


def test_a_report_is_read_whatever_stands_around_it():
    log = "a warning\n" + frame(packed({"code": 0, "answer": '{"x": 1}', "log": "words"})) + "more\n"

    assert read_report(log, largest_answer=100) == Report(0, {"x": 1}, "words")


@pytest.mark.parametrize(
    ("log", "words"),
    [
        ("", "not there"),
        ("-----BEGIN KFOPS REPORT-----\nabc\n", "not there"),
        (frame(packed({})) * 2, "more than one"),
        (frame(packed({}), size=3), "torn"),
        (frame(packed({}), digest="0" * 64), "torn"),
        (frame(b"no zlib"), "not readable"),
        (frame(packed({})[:-2]), "not readable"),
        (frame(packed([1])), "not readable"),
        (frame(packed({"code": "0"})), "not readable"),
        (frame(zlib.compress(b"[" * 100_000)), "not readable"),
        ("x" * (LARGEST_LOG + 1), "more than 10 MiB"),
    ],
    ids=["nothing", "cut", "two", "size", "digest", "no zlib", "short", "list", "code", "deep", "large"],
)
def test_r11_what_is_no_report_is_told(log, words):
    found = read_report(log, largest_answer=100)

    assert isinstance(found, str)
    assert words in found


def test_r11_a_small_report_that_inflates_without_end_is_not_followed():
    found = read_report(frame(zlib.compress(bytes(20 << 20))), largest_answer=1000)

    assert found == "its report is not readable"


@pytest.mark.parametrize("report", [{"is_too_large": True}, {"answer": "x" * 101}])
def test_r11_an_answer_beyond_its_size_is_none(report):
    found = read_report(frame(packed({"code": 0, "log": "", **report})), largest_answer=100)

    assert found == Report(0, None, "", is_too_large=True)


@pytest.mark.parametrize("answer", ["", "text", "[1]", "NaN", "[" * 50_000, None, 7])
def test_an_answer_that_is_no_object_is_none(answer):
    found = read_report(frame(packed({"code": 3, "answer": answer, "log": 5})), largest_answer=1 << 20)

    assert found == Report(3, None, "")


@given(st.text(), st.binary(max_size=200))
def test_nothing_that_a_pod_writes_raises(text, content):
    read_report(text, largest_answer=10)
    read_report(text + "\n" + frame(content), largest_answer=10)
