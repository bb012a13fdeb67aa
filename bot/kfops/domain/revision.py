"""A model version as it is served: what runs, where, and what it came from."""

from __future__ import annotations

from dataclasses import dataclass

from kfops.domain.environment import EnvironmentKey


@dataclass(frozen=True)
class Revision:
    """`digest` is the SHA-256 of the model directory in hex: it is what is compared, never the version's label.

    `run_id` names the tracked run, `commit_sha` and `pull_request` the change that made it.
    """

    environment: EnvironmentKey
    version: str
    digest: str
    run_id: str
    commit_sha: str
    pull_request: int

    @property
    def model(self) -> str:
        return self.environment.model

    @property
    def repository_id(self) -> int:
        return self.environment.repository_id
