"""`kfc init`: a model repository from the template that comes with the package."""

from __future__ import annotations

import shutil
from pathlib import Path

from kfops.cli.exits import Exit, Stop

_LEFT_OUT = shutil.ignore_patterns(
    "__pycache__", "*.pyc", ".pytest_cache", ".hypothesis", ".kfops", ".ruff_cache", ".mypy_cache", ".venv"
)


def start(folder: Path) -> list[str]:
    """The files that were made, as paths below `folder`, which must be new or empty (a `.git` may be in it)."""
    if folder.exists() and not folder.is_dir():
        raise Stop(Exit.USAGE, f"{folder} is a file; expected a new or empty folder")
    if folder.is_dir() and any(path.name != ".git" for path in folder.iterdir()):
        raise Stop(Exit.USAGE, f"{folder} is not empty; give a new folder, so that nothing is overwritten")
    template = _template()
    shutil.copytree(template, folder, ignore=_LEFT_OUT, dirs_exist_ok=True)
    return sorted(
        str(path.relative_to(folder))
        for path in folder.rglob("*")
        if path.is_file() and ".git" not in path.relative_to(folder).parts
    )


def _template() -> Path:
    """In an installed package beside its modules; in a checkout at the root, where people read it."""
    package = Path(__file__).parents[1]
    for place in (package / "pipeline_template", package.parents[1] / "pipeline_template"):
        if (place / "kfops.yaml").is_file():
            return place
    raise Stop(Exit.ENGINE, "the template is missing from this installation; install kfops again")
