"""The JSON schema of `kfops.yaml`, for editors; generated from the model, so it cannot say anything else.

`python -m kfops.config.schema` prints it.
"""

from __future__ import annotations

import ast
import inspect
import json
from datetime import timedelta
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema

from kfops.command.duration import format_duration
from kfops.config import deployment, rules, work
from kfops.config.model import KfopsFile


class _Generator(GenerateJsonSchema):
    """Defaults as people write them, and no titles: an editor shows the key anyway."""

    def encode_default(self, dft: Any) -> Any:
        return format_duration(dft) if isinstance(dft, timedelta) else super().encode_default(dft)

    def field_title_should_be_set(self, schema: Any) -> bool:  # noqa: ARG002 - the signature is pydantic's
        return False


def schema(model: type[BaseModel] = KfopsFile, title: str = "kfops.yaml") -> dict[str, Any]:
    """Draft 2020-12, with the documentation of every key."""
    generated = model.model_json_schema(mode="validation", schema_generator=_Generator)
    documented = documentation()
    for name, section in generated.get("$defs", {}).items():
        section.pop("title", None)
        for content in section.get("properties", {}).values():
            if "patternProperties" in content:
                content["additionalProperties"] = False  # a key that the pattern refuses is refused
        _describe(section, documented.get(name, {}))
    for base in model.__mro__:
        _describe(generated, documented.get(base.__name__, {}))
    return {"$schema": GenerateJsonSchema.schema_dialect, **generated, "title": title}


def schema_text() -> str:
    """As it stands in `config_schema/kfops.schema.json`."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def documentation() -> dict[str, dict[str, str]]:
    """Section to key to the text that stands under the key in the source."""
    found: dict[str, dict[str, str]] = {}
    for module in (work, deployment, rules):
        for section in ast.parse(inspect.getsource(module)).body:
            if isinstance(section, ast.ClassDef):
                found[section.name] = dict(_documented_keys(section))
    return found


def _documented_keys(section: ast.ClassDef) -> list[tuple[str, str]]:
    keys = []
    for key, text in zip(section.body, section.body[1:], strict=False):
        match key, text:
            case ast.AnnAssign(target=ast.Name(name)), ast.Expr(value=ast.Constant(value=str(words))):
                keys.append((name, " ".join(words.split())))
            case _:
                pass
    return keys


def _describe(section: dict[str, Any], documented: dict[str, str]) -> None:
    for key, content in section.get("properties", {}).items():
        if key in documented:
            content["description"] = documented[key]


if __name__ == "__main__":
    print(schema_text(), end="")  # noqa: T201 - this is what the module is run for
