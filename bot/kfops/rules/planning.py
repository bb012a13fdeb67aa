"""What a command would do now, step by step, in sentences. For `/plan`, which does nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kfops.command.duration import format_duration
from kfops.command.model import Assignments
from kfops.config.meaning import Environment
from kfops.domain.operation import Kind
from kfops.domain.record import RevisionRecord, RunRecord
from kfops.domain.rollout import RolloutPlan


@dataclass(frozen=True)
class RunPlan:
    """`package`: the digest of the one that `/run` would take. `champion`: the version it would be compared with."""

    kind: Kind
    commit_sha: str
    source: str = ""
    package: str = ""
    assignments: Assignments = ()
    timeout: str = ""
    champion: str = ""
    waits_for: tuple[int, ...] = ()


def run_steps(plan: RunPlan) -> tuple[str, ...]:
    found = _waiting(plan.waits_for)
    found.append(f"Fetch commit `{plan.commit_sha[:7]}`.")
    if plan.kind is Kind.RUN:
        found.append(f"Take the package `{plan.package[:12]}` that was built for this commit.")
    else:
        found.append(f"Compile `{plan.source}` in the sandbox and check it.")
    if plan.assignments:
        pairs = ", ".join(f"`{name}` = `{value}`" for name, value in plan.assignments)
        found.append(f"Set {pairs}.")
    if plan.kind is Kind.BUILD:
        return (*found, "Record the package; `/run` runs it.")
    found.append(f"Run it in the sandbox, for at most {plan.timeout}.")
    found.append("Check the model that it hands over, store it by its digest and register it.")
    whom = (
        f"version {plan.champion}, which serves in production"
        if plan.champion
        else "the gates alone: nothing serves yet"
    )
    return (*found, f"Score it on the held-out rows against {whom}, and show the evidence.")


@dataclass(frozen=True)
class DeployPlan:
    """`champion`: the version that serves there now; empty: none."""

    environment: Environment
    rollout: RolloutPlan
    run: RunRecord
    champion: str = ""
    forced: tuple[str, ...] = ()
    waits_for: tuple[int, ...] = ()


def deploy_steps(plan: DeployPlan) -> tuple[str, ...]:
    name, rollout = plan.environment.name, plan.rollout
    found = _waiting(plan.waits_for)
    if plan.forced:
        found.append(f"Skip what `--force` names: {', '.join(plan.forced)}.")
    version, digest = plan.run.model_version or "?", (plan.run.model_digest or "")[:12]
    found.append(
        f"Hold `{name}` and start version {version} `{digest}` of run {plan.run.operation_id} beside "
        + (f"version {plan.champion}, without users." if plan.champion else "nothing: it is the first there.")
    )
    found.append("Check it with the sample request, and compare it on the held-out rows.")
    if rollout.is_first:
        found.append("Give it all traffic.")
    else:
        shares = ", ".join(f"{share} %" for share in rollout.steps)
        found.append(
            f"Canary: {shares} of users' requests, each for at least {format_duration(rollout.hold)}, and "
            f"{rollout.min_requests} requests before it is promoted; on harm everything goes back."
        )
    found.append(f"Promote it and watch it for {format_duration(rollout.watch)}.")
    if plan.environment.merge:
        found.append(f"Read every gate again, merge ({plan.environment.merge}) and close this pull request.")
    found.append(f"Label it `Deployed-to-{name}`" + ("." if plan.environment.merge else "; it stays open."))
    return tuple(found)


def rollback_steps(environment: str, target: RevisionRecord, rollouts: Sequence[int]) -> tuple[str, ...]:
    found = [f"Abort the rollout of operation {one}." for one in rollouts]
    found.append(f"Hold `{environment}`.")
    found.append(
        f"Serve version {target.version} `{target.digest[:12]}` of #{target.pull_request} again, and see it ready."
    )
    return (*found, "Move the aliases, and write down who asked and why.")


def _waiting(waits_for: Sequence[int]) -> list[str]:
    return [f"Wait for operation {one}." for one in waits_for]
