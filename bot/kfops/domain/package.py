"""What a compiled pipeline says of itself: read from the package, never by importing somebody's code."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class InputType(StrEnum):
    INT = "int"
    FLOAT = "float"
    STR = "str"
    BOOL = "bool"
    LIST = "list"
    DICT = "dict"


@dataclass(frozen=True)
class InputSpec:
    """One parameter of the pipeline. `default` None and not `required`: the pipeline itself says None."""

    name: str
    type: InputType
    default: Any = None
    required: bool = False
    description: str = ""
