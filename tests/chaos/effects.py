"""Every class of effect that workflows have; a new one needs a story in which it is met."""

from __future__ import annotations

import ast
from pathlib import Path

from kfops import workflow

# As they are written in the workflows, and as what they are met.
EFFECTS = {
    "'audit'": "audit",
    "'cancel'": "cancel",
    "'check'": "check",
    "'comment'": "comment",
    "'deployment'": "deployment",
    "'deployment_status'": "deployment_status",
    "'merge'": "merge",
    "'model'": "model",
    "_effect(facts)": "run",
    "f'{STOP}{one.id}'": "stop",
    "f'{STEER}{target.id}'": "steer",
    "f'image:{image.name}'": "image",
    "'issue'": "issue",
    "f'issue instead of {number}'": "issue",
}
ELSEWHERE = {"image", "issue"}  # test_step_images.py, which needs images; test_retraining.py


def written() -> set[str]:
    """The names of the effects in the workflows' text."""
    found = set()
    for file in Path(str(workflow.__file__)).parent.rglob("*.py"):
        if file.name == "context.py":
            continue
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                place = {"effect": 0, "effect_about": 1}.get(node.func.attr)
                if place is not None:
                    found.add(ast.unparse(node.args[place]))
    return found
