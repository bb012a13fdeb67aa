"""Where an image lies, as those who pull it understand its name."""

from __future__ import annotations

import pytest

from kfops.domain.image_reference import lies_in, repository_of

DIGEST = "sha256:" + "a" * 64


@pytest.mark.parametrize(
    ("image", "repository"),
    [
        ("python", "docker.io/library/python"),
        ("python:3.11-slim", "docker.io/library/python"),
        ("docker.io/python:3.11", "docker.io/library/python"),
        ("acme/trainer", "docker.io/acme/trainer"),
        ("python:5000/evil", "python:5000/evil"),
        ("localhost/trainer", "localhost/trainer"),
        ("Registry.example.com/ml/trainer:v1", "registry.example.com/ml/trainer"),
        (f"registry.example.com:5000/ml/trainer:v1@{DIGEST}", "registry.example.com:5000/ml/trainer"),
        (f"python@{DIGEST}", "docker.io/library/python"),
    ],
)
def test_where_an_image_lies(image, repository):
    assert repository_of(image) == repository


@pytest.mark.parametrize(
    "image",
    [
        "",
        "python:{{$.inputs.parameters['x']}}",
        "{{$.inputs.parameters['x']}}",
        "registry.example.com/ml/../evil",
        "registry.example.com/ml/./x",
        "registry.example.com/ml//x",
        "/ml/x",
        "ml/x/",
        "python@sha256:short",
        "python:",
        "https://registry.example.com/ml",
        "Acme/trainer",
        "python:3.11\n",
        "ünicode",
        "x" * 600,
    ],
)
def test_r11_what_is_no_reference_lies_nowhere(image):
    assert repository_of(image) is None


@pytest.mark.parametrize(
    ("image", "granted", "is_within"),
    [
        ("python:3.11", "python", True),
        ("python:5000/evil", "python", False),
        ("python/evil", "python", False),
        ("pythonx", "python", False),
        ("docker.io/library/python", "python", True),
        ("registry.example.com/ml", "registry.example.com/ml", True),
        ("registry.example.com/ml/a/b:1", "registry.example.com/ml", True),
        ("registry.example.com/mlx", "registry.example.com/ml", False),
        ("registry.example.com:5000/ml/a", "registry.example.com/ml", False),
        ("registry.example.com/any", "registry.example.com", True),
        ("acme/trainer", "docker.io/acme", True),
        ("acme/trainer", "acme/trainer", True),
    ],
)
def test_r11_an_image_lies_in_what_is_granted_or_below_it(image, granted, is_within):
    assert lies_in(repository_of(image), ["ghcr.io/other", granted]) is is_within
