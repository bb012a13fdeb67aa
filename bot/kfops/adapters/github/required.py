"""Which checks a branch requires, and how they stand: pure decisions over GitHub's lists (R16)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from kfops.adapters.github.wire import Json
from kfops.domain.pull_request import Check, CheckState

_ANY_APP = -1  # how branch protection writes "from anywhere"
_PASSING = frozenset({"success", "neutral", "skipped"})
_WORST_FIRST = (CheckState.FAILURE, CheckState.PENDING, CheckState.SUCCESS)


@dataclass(frozen=True)
class Required:
    """A context that must pass; `app_id` None: whoever reports it."""

    context: str
    app_id: int | None = None


@dataclass(frozen=True)
class Reported:
    """The newest word on a context; `app_id` None: a commit status, of which GitHub does not say the app."""

    context: str
    app_id: int | None
    state: CheckState


def required(branch: Json, rules: Sequence[Json]) -> tuple[Required, ...]:
    """Branch protection, as the branch itself shows it (no administrator's right is needed), and rulesets."""
    found = [_bound(one["context"], one.get("app_id")) for one in _protected(branch)]
    for rule in rules:
        if rule.get("type") == "required_status_checks":
            asked = (rule.get("parameters") or {}).get("required_status_checks", [])
            found += [_bound(one["context"], one.get("integration_id")) for one in asked]
    return tuple(dict.fromkeys(found))


def _protected(branch: Json) -> list[dict[str, Any]]:
    protection = branch.get("protection") or {}
    asked = protection.get("required_status_checks") or {}
    if protection.get("enabled") is False or asked.get("enforcement_level") == "off":
        return []
    checks: list[dict[str, Any]] = list(asked.get("checks") or [])
    named = {one["context"] for one in checks}
    return checks + [{"context": name} for name in asked.get("contexts") or [] if name not in named]


def _bound(context: object, app_id: object) -> Required:
    return Required(str(context), app_id if isinstance(app_id, int) and app_id != _ANY_APP else None)


def reported(runs: Sequence[Json], statuses: Sequence[Json]) -> tuple[Reported, ...]:
    """The newest per (app, name): ids grow, while times may be missing or be set by the reporter."""
    newest: dict[tuple[int | None, str], Json] = {}
    for run in sorted(runs, key=lambda one: int(one["id"])):
        newest[(run.get("app") or {}).get("id"), str(run["name"])] = run
    found = [Reported(name, app or 0, _of_run(run)) for (app, name), run in newest.items()]
    latest = {str(one["context"]): one for one in sorted(statuses, key=lambda one: int(one["id"]))}
    return (*found, *(Reported(name, None, _of_status(one)) for name, one in latest.items()))


def _of_run(run: Json) -> CheckState:
    if run.get("status") != "completed":
        return CheckState.PENDING
    return CheckState.SUCCESS if run.get("conclusion") in _PASSING else CheckState.FAILURE


def _of_status(status: Json) -> CheckState:
    known = {"success": CheckState.SUCCESS, "pending": CheckState.PENDING}
    return known.get(str(status.get("state")), CheckState.FAILURE)


def standing(
    needed: Sequence[Required], found: Sequence[Reported], *, own_app: int | None, own_names: Collection[str]
) -> tuple[Check, ...]:
    """How each required check stands, the worst report counting; the bot's own are left out: it would wait for itself.

    Own are those bound to the bot's app, and unbound ones that are named as the bot's or that nobody else reports.
    """
    checks: dict[str, CheckState] = {}
    for one in needed:
        all_of_name = [report for report in found if report.context == one.context]
        if _is_own(one, all_of_name, own_app, own_names):
            continue
        others = [report for report in all_of_name if own_app is None or report.app_id != own_app]
        states = {report.state for report in others if one.app_id in {None, report.app_id}}
        state = next((state for state in _WORST_FIRST if state in states), CheckState.MISSING)
        known = checks.get(one.context, CheckState.SUCCESS)
        checks[one.context] = state if known is CheckState.SUCCESS else known
    return tuple(Check(name, state) for name, state in checks.items())


def _is_own(
    one: Required, reports: Sequence[Reported], own_app: int | None, own_names: Collection[str]
) -> bool:
    if one.app_id is not None:
        return one.app_id == own_app
    if own_app is not None and reports:
        return all(report.app_id == own_app for report in reports)
    return one.context in own_names and not reports
