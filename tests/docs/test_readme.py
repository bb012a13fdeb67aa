"""The documents tell the truth: what they list is what there is."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from kfops.command.table import commands_table
from kfops.config.policy import load_policy
from kfops.settings import Settings

ROOT = Path(__file__).parents[2]
README = (ROOT / "README.md").read_text()
ARCHITECTURE = (ROOT / "bot" / "ARCHITECTURE.md").read_text()


def test_the_readme_lists_the_commands_of_the_catalogue():
    assert commands_table().strip() in README


def test_the_readme_names_only_settings_that_exist():
    named = set(re.findall(r"`KFOPS_([A-Z_]+)`", README))

    assert named <= {name.upper() for name in Settings.model_fields}


def test_the_operators_example_policy_can_be_read():
    path = ROOT / "deploy" / "policy.example.yaml"

    assert "acme/churn" in (load_policy(path.read_bytes(), filename=path.name).repositories or {})


def test_the_readme_links_to_files_that_exist():
    for target in re.findall(r"\]\(([^)]+)\)", README):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("name", re.findall(r"`((?:[a-z_]+/)+|[a-z_]+\.py)`", ARCHITECTURE))
def test_the_architecture_names_places_that_exist(name):
    package = ROOT / "bot" / "kfops"
    places = (package / name, ROOT / name, *package.glob(f"*/{name}"))

    assert any(place.exists() for place in places), name
