"""Which keys the model knows at a path: for *did you mean*, and for `--set` that types its value by the model."""

from __future__ import annotations

import types
from collections.abc import Mapping
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from kfops.config.errors import Path


def annotation_at(model: type[BaseModel], path: Path) -> Any:
    """The type at a path as the model writes it; None where the model knows no such path."""
    here: Any = model
    for part in path:
        here = _inside(_bare(here), part)
        if here is None:
            return None
    return _bare(here)


def known_keys(model: type[BaseModel], path: Path) -> tuple[str, ...]:
    """The keys of the section at a path; none where any name will do."""
    here = annotation_at(model, path)
    return tuple(here.model_fields) if _is_section(here) else ()


def is_section(model: type[BaseModel], path: Path) -> bool:
    """Whether keys stand below this path."""
    here = annotation_at(model, path)
    return _is_section(here) or get_origin(here) in {dict, Mapping}


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, BaseModel)


def _bare(annotation: Any) -> Any:
    """Without `Annotated` and `| None`."""
    while True:
        origin = get_origin(annotation)
        if origin is Annotated:
            annotation = get_args(annotation)[0]
        elif origin in {Union, types.UnionType}:
            annotation = next(one for one in get_args(annotation) if one is not types.NoneType)
        else:
            return annotation


def _inside(annotation: Any, part: str | int) -> Any:
    if _is_section(annotation):
        field = annotation.model_fields.get(part)
        return field.annotation if field else None
    if get_origin(annotation) is dict and isinstance(part, str):
        return get_args(annotation)[1]
    if get_origin(annotation) is tuple and isinstance(part, int):
        return get_args(annotation)[0]
    return None
