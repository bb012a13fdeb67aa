from __future__ import annotations

from pydantic import BaseModel, ConfigDict


class Section(BaseModel):
    """A mapping of `kfops.yaml`: frozen, and a key that nobody knows is an error.

    The text under a key is its documentation; `schema` reads it from the source when it is asked for. Pydantic's
    `use_attribute_docstrings` would read it at every start of the command line.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, allow_inf_nan=False)
