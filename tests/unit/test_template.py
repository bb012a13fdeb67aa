"""The template is a repository that works by itself, and one that Kfops takes."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from kfops.config.load import load, rules_of, work_of

TEMPLATE = Path(__file__).parents[2] / "pipeline_template"


@pytest.fixture
def copy(tmp_path):
    ignored = shutil.ignore_patterns("__pycache__", ".pytest_cache")
    return Path(shutil.copytree(TEMPLATE, tmp_path / "churn", ignore=ignored))


def test_its_own_tests_pass_in_a_copy(copy):
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=copy,
        env={"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1", "HOME": str(copy)},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-1000:]


def test_it_knows_nothing_of_kfops_but_its_words():
    for path in TEMPLATE.rglob("*.py"):
        assert not re.search(r"^\s*(import|from) kfops", path.read_text(), re.MULTILINE), path


def test_its_configuration_says_what_its_files_say():
    text = (TEMPLATE / "kfops.yaml").read_bytes()
    load(text)
    work, rules = work_of(text), rules_of(text, repository_name="churn")
    header, first, *_ = (TEMPLATE / "data" / "churn.csv").read_text().splitlines()
    assert (TEMPLATE / work.pipeline.source).is_file()
    assert "churn" in header.split(",")
    assert len(first.split(",")) == len(header.split(",")) == 21
    assert rules.model == "churn"
    assert json.loads((TEMPLATE / "samples" / "request.json").read_text())["instances"]


def test_the_table_is_whole():
    assert len((TEMPLATE / "data" / "churn.csv").read_text().splitlines()) == 7044


def test_it_names_no_machine():
    for path in TEMPLATE.rglob("*"):
        if path.is_file() and path.suffix in {".py", ".md", ".yaml", ".txt", ".json"}:
            assert not re.search(r"(?<![\w.])/(home|root|tmp|opt)/", path.read_text())
