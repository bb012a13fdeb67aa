"""Who may: a role on the repository, or the members of teams."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PlainSerializer, PlainValidator, TypeAdapter, ValidationError, WithJsonSchema

from kfops.config.fields import Role, Team, refuse
from kfops.domain.pull_request import Permission

_ROLE: TypeAdapter[Permission] = TypeAdapter(Role)
_TEAMS: TypeAdapter[tuple[str, ...]] = TypeAdapter(tuple[Team, ...])
_EXPECTED = "a role (read, triage, write, maintain, admin) or {teams: [a team, …]}"


@dataclass(frozen=True)
class Who:
    """Members of one of `teams` where there are any; else whoever has `permission` or a higher role."""

    permission: Permission
    teams: tuple[str, ...] = ()

    def __str__(self) -> str:
        if self.teams:
            return f"members of {', '.join(self.teams)}"
        return f"the role {self.permission.name.lower()} or higher"


def _who(value: Any) -> Who:
    try:
        if isinstance(value, dict) and value.keys() == {"teams"} and value["teams"]:
            return Who(Permission.READ, _TEAMS.validate_python(value["teams"]))
        return Who(_ROLE.validate_python(value))
    except ValidationError as wrong:
        raise refuse(_EXPECTED) from wrong


def _as_typed(who: Who) -> Any:
    return {"teams": list(who.teams)} if who.teams else who.permission.name.lower()


WhoMay = Annotated[
    Who,
    PlainValidator(_who),
    PlainSerializer(_as_typed),
    WithJsonSchema(
        {
            "anyOf": [
                _ROLE.json_schema(),
                {
                    "type": "object",
                    "properties": {
                        "teams": {"type": "array", "minItems": 1, "items": TypeAdapter(Team).json_schema()}
                    },
                    "required": ["teams"],
                    "additionalProperties": False,
                },
            ]
        }
    ),
]
