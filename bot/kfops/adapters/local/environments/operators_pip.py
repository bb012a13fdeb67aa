"""Where the operator's own pip takes packages from: asked of pip itself, with its files and variables."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

from kfops.adapters.local.environments.index_source import OperatorsIndex
from kfops.ports.errors import Unavailable

_TIMEOUT_S = 30.0
# pip has no other way to tell its merged configuration with its own default.
_QUESTION = """
import json
from pip._internal.commands import create_command
o = create_command("install").parser.get_default_values()
print(json.dumps([o.index_url, o.extra_index_urls, o.find_links, o.no_index, o.cert]))
"""


def operators_index(address: str = "") -> OperatorsIndex:
    """`address`: the one index that the operator's setting names; empty: as pip is configured here."""
    first, more, flat, is_offline, certificates = _as_pip_says()
    if address:
        return OperatorsIndex((_as_address(address),), (), certificates)
    indexes = () if is_offline else (first, *more)
    return OperatorsIndex(
        tuple(_as_address(one) for one in indexes if one), tuple(map(_as_address, flat)), certificates
    )


def _as_pip_says() -> tuple[str, list[str], list[str], bool, str | None]:
    try:
        done = subprocess.run(
            [sys.executable, "-c", _QUESTION],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_TIMEOUT_S,
            check=True,
        )
        first, more, flat, is_offline, certificates = json.loads(done.stdout)
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        raise Unavailable(
            "pip is not there, or does not tell its configuration: `python -m pip` must work where Kfops is installed"
        ) from error
    return first, more, flat, is_offline, certificates


def _as_address(place: str) -> str:
    return place if "://" in place else Path(place).absolute().as_uri()
