"""What a plain YAML scalar means, by YAML 1.2's core schema.

PyYAML's own rules are those of YAML 1.1, where `yes` and `on` are booleans, `1e-3` is text and `12:30` is 750.
Configuration is no place for surprises. Dates stay text.
"""

from __future__ import annotations

import math
import re

Scalar = str | int | float | bool | None

_INT = re.compile(r"[-+]?[0-9]{1,18}")
_FLOAT = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]{1,3})?")
_WORDS: dict[str, Scalar] = {
    "": None,
    "~": None,
    "null": None,
    "Null": None,
    "NULL": None,
    "true": True,
    "True": True,
    "TRUE": True,
    "false": False,
    "False": False,
    "FALSE": False,
}


def plain(text: str) -> Scalar:
    """A number too large for a float stays text, so that whoever wanted a number says what was found."""
    if text in _WORDS:
        return _WORDS[text]
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text) and math.isfinite(float(text)):
        return float(text)
    return text
