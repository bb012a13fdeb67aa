"""Check runs and deployments: what others' tools read of the bot's work."""

from __future__ import annotations

import json
import threading
from collections.abc import Collection
from typing import Any

from kfops.adapters.github.answer import FORBIDDEN, NOT_FOUND
from kfops.adapters.github.auth import AppCredentials, Purpose
from kfops.adapters.github.client import REPOSITORY, Client
from kfops.adapters.github.required import reported, required, standing
from kfops.domain.pull_request import Check
from kfops.ports.errors import Refused, Unavailable
from kfops.ports.forge import CheckReport, DeploymentState

COMMIT = f"{REPOSITORY}/commits/{{ref}}"
DEPLOYMENTS = f"{REPOSITORY}/deployments"
_MOST_SUMMARY, _MOST_DESCRIPTION = 65_535, 140  # GitHub's limits, in characters


class GitHubStatuses:
    """`own_checks`: names under which the bot reports check runs."""

    def __init__(self, client: Client, own_checks: Collection[str]) -> None:
        self.client, self._own_checks = client, frozenset(own_checks)
        self._check_ids: dict[tuple[int, str, str], int] = {}
        self._cannot_check: set[int] = set()
        self._app_number: int | None = None
        self._checks_lock = threading.Lock()

    def required_checks(self, repository_id: int, base_ref: str, sha: str) -> tuple[Check, ...]:
        """Unavailable where a list came incomplete. A check bound to an app is met by that app's check runs only."""
        branch = self.client.send("GET", f"{REPOSITORY}/branches/{{branch}}", repository_id, branch=base_ref)
        rules = self.client.every(f"{REPOSITORY}/rules/branches/{{branch}}", repository_id, branch=base_ref)
        needed = required(branch.accepted(), rules)
        if not needed:
            return ()
        runs = self.client.every(f"{COMMIT}/check-runs", repository_id, under="check_runs", ref=sha)
        statuses = self.client.every(f"{COMMIT}/status", repository_id, under="statuses", ref=sha)
        found = reported(runs, statuses)
        return standing(needed, found, own_app=self._own_app(), own_names=self._own_checks)

    def _own_app(self) -> int | None:
        credentials = self.client.tokens.credentials
        if not isinstance(credentials, AppCredentials):
            return None
        if self._app_number is None:
            text = str(credentials.app_id)
            # A client id signs as well as the number does, but only the number is in check runs.
            known = text if text.isdecimal() else self.client.tokens.as_app("GET", "/app").accepted()["id"]
            self._app_number = int(known)
        return self._app_number

    def report_check(self, repository_id: int, report: CheckReport) -> int | None:
        if repository_id in self._cannot_check:
            return None
        known = self._known_check(repository_id, report)
        body = _check_body(report)
        if known is None:
            answer = self.client.send(
                "POST",
                f"{REPOSITORY}/check-runs",
                repository_id,
                Purpose.TELL,
                body={**body, "head_sha": report.head_sha},
            )
        else:
            template = f"{REPOSITORY}/check-runs/{{check_run_id}}"
            answer = self.client.send(
                "PATCH", template, repository_id, Purpose.TELL, body=body, check_run_id=known
            )
        if answer.status == FORBIDDEN and not self.client.tokens.is_app:
            with self._checks_lock:
                self._cannot_check.add(repository_id)
            return None
        made = int(answer.accepted()["id"])
        with self._checks_lock:
            self._check_ids[repository_id, report.name, report.external_id] = made
        return made

    def _known_check(self, repository_id: int, report: CheckReport) -> int | None:
        with self._checks_lock:
            kept = self._check_ids.get((repository_id, report.name, report.external_id))
        if kept is not None or not self.client.tokens.is_app:
            return kept
        query: dict[str, str | int] = {"check_name": report.name, "filter": "all"}
        runs = self.client.every(
            f"{COMMIT}/check-runs", repository_id, query=query, under="check_runs", ref=report.head_sha
        )
        mine = self._own_app()
        return next(
            (
                int(run["id"])
                for run in runs
                if run.get("external_id") == report.external_id and (run.get("app") or {}).get("id") == mine
            ),
            None,
        )

    def create_deployment(self, repository_id: int, *, sha: str, environment: str, external_id: str) -> int:
        """Refused where GitHub makes it for another commit than `sha`."""
        known = self.find_deployment(repository_id, sha=sha, environment=environment, external_id=external_id)
        if known is not None:
            return known
        body = {
            "ref": sha,
            "environment": environment,
            "description": "Kfops",
            "payload": {"external_id": external_id},
            "auto_merge": False,
            "required_contexts": [],  # the bot's own gates have decided
        }
        answer = self.client.send("POST", DEPLOYMENTS, repository_id, Purpose.TELL, body=body)
        made = answer.accepted()
        if "id" not in made:
            raise Unavailable(f"GitHub made no deployment of {sha[:7]}: {answer.message}")
        if made["sha"] != sha:
            raise Refused(f"GitHub made the deployment of {made['sha'][:7]}, not of {sha[:7]}")
        return int(made["id"])

    def find_deployment(
        self, repository_id: int, *, sha: str, environment: str, external_id: str
    ) -> int | None:
        query: dict[str, str | int] = {"sha": sha, "environment": environment}
        for one in self.client.every(DEPLOYMENTS, repository_id, query=query):
            if _external_id(one.get("payload")) == external_id:
                return int(one["id"])
        return None

    def deployment_status(
        self,
        repository_id: int,
        deployment_id: int,
        state: DeploymentState,
        *,
        description: str,
        environment_url: str | None,
    ) -> None:
        body: dict[str, Any] = {"state": state.value, "description": _cut(description, _MOST_DESCRIPTION)}
        if environment_url:
            body["environment_url"] = environment_url
        template = f"{DEPLOYMENTS}/{{deployment_id}}/statuses"
        answer = self.client.send(
            "POST", template, repository_id, Purpose.TELL, body=body, deployment_id=deployment_id
        )
        if answer.status == NOT_FOUND:
            raise Refused(f"there is no deployment {deployment_id} in this repository")
        answer.accepted()


def _check_body(report: CheckReport) -> dict[str, Any]:
    body: dict[str, Any] = {
        "name": report.name,
        "external_id": report.external_id,
        "output": {
            "title": report.title,
            "summary": _cut(report.summary, _MOST_SUMMARY) or report.title or report.name,
        },
    }
    if report.details_url:
        body["details_url"] = report.details_url
    if report.conclusion is None:
        return {**body, "status": "in_progress"}
    return {**body, "status": "completed", "conclusion": report.conclusion.value}


def _external_id(payload: object) -> str | None:
    """GitHub gives the payload back as it came, or as text."""
    if isinstance(payload, str):
        try:
            payload = json.loads(payload or "null")
        except ValueError:
            return None
    found = payload.get("external_id") if isinstance(payload, dict) else None
    return found if isinstance(found, str) else None


def _cut(text: str, limit: int) -> str:
    return text if len(text) <= limit else f"{text[: limit - 1]}…"
