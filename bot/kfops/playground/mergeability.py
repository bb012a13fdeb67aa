"""May this pull request be merged, and if not, why? Read from git, reviews, checks and the branch's rules."""

from __future__ import annotations

from dataclasses import dataclass

from kfops.playground.forge import Forge
from kfops.playground.git.history import is_ancestor
from kfops.playground.git.merging import merged_tree
from kfops.playground.roles import role_of
from kfops.playground.state import Protection, PullRequest, Repository, RequiredCheck, Review, Role, Rule

PASSING = frozenset({"success", "neutral", "skipped"})


@dataclass(frozen=True)
class Requirements:
    """What branch protection and rulesets together ask of a merge into a branch."""

    checks: tuple[RequiredCheck, ...]
    strict: bool
    approvals: int


@dataclass(frozen=True)
class Reported:
    """The newest report of one check at one commit: a check run or a commit status."""

    name: str
    app_id: int | None
    state: str  # a conclusion, or "pending"
    description: str = ""
    url: str | None = None


@dataclass(frozen=True)
class Mergeability:
    """`state` is GitHub's `mergeable_state`; `reason` is empty where nothing stands in the way."""

    mergeable: bool | None
    state: str
    reason: str = ""


def rules_for(repository: Repository, branch: str) -> list[Rule]:
    names = {branch, "~ALL"} | ({"~DEFAULT_BRANCH"} if branch == repository.default_branch else set())
    return [rule for rule in repository.rules if names & set(rule.branches)]


def requirements(repository: Repository, branch: str) -> Requirements:
    protection = repository.protections.get(branch, Protection())
    checks = list(protection.checks)
    strict, approvals = protection.strict, protection.approvals
    for rule in rules_for(repository, branch):
        if rule.kind == "required_status_checks":
            asked = rule.parameters.get("required_status_checks", [])
            checks += [RequiredCheck(one["context"], one.get("integration_id")) for one in asked]
            strict = strict or bool(rule.parameters.get("strict_required_status_checks_policy"))
        if rule.kind == "pull_request":
            approvals = max(approvals, int(rule.parameters.get("required_approving_review_count", 0)))
    return Requirements(tuple(dict.fromkeys(checks)), strict, approvals)


def reported(repository: Repository, sha: str) -> list[Reported]:
    """The newest report of each check at the commit: one per app and name, one per status context."""
    newest: dict[tuple[int | None, str], Reported] = {}
    for run in repository.check_runs.values():
        if run.head_sha == sha:
            state = run.conclusion if run.status == "completed" and run.conclusion else "pending"
            title = str(run.output.get("title") or "")
            newest[run.app_id, run.name] = Reported(run.name, run.app_id, state, title, run.details_url)
    for status in repository.statuses:
        if status.sha == sha:
            newest[None, status.context] = Reported(
                status.context, None, status.state, status.description or "", status.target_url
            )
    return list(newest.values())


def latest_reviews(pull: PullRequest) -> dict[int, Review]:
    """Each reviewer's last word: an approval, a request for changes, or its dismissal."""
    return {review.author_id: review for review in pull.reviews if review.state != "COMMENTED"}


def mergeability(forge: Forge, repository: Repository, pull: PullRequest) -> Mergeability:
    bare = forge.bare(repository)
    base = bare.resolve(f"refs/heads/{pull.base_ref}")
    if not pull.is_open or base is None:
        return Mergeability(
            None, "unknown", "Pull Request is closed" if not pull.is_open else "The base branch is gone"
        )
    if merged_tree(bare, base, pull.head_sha) is None:
        return Mergeability(False, "dirty", "Pull Request is not mergeable")
    if pull.draft:
        return Mergeability(True, "draft", "Pull Request is still a draft")
    needed = requirements(repository, pull.base_ref)
    states = {(one.name, one.app_id): one.state for one in reported(repository, pull.head_sha)}
    missing = [one.context for one in needed.checks if not _passes(states, one)]
    if missing:
        return Mergeability(True, "blocked", f'Required status check "{missing[0]}" is expected.')
    said = [
        review
        for review in latest_reviews(pull).values()
        if role_of(repository, forge.state.users[review.author_id]) >= Role.WRITE
    ]
    if needed.approvals and any(review.state == "CHANGES_REQUESTED" for review in said):
        return Mergeability(True, "blocked", "Changes must be addressed.")
    if sum(review.state == "APPROVED" for review in said) < needed.approvals:
        return Mergeability(
            True,
            "blocked",
            f"At least {needed.approvals} approving review is required by reviewers with write access.",
        )
    if needed.strict and not is_ancestor(bare, base, pull.head_sha):
        return Mergeability(True, "behind", "Head branch is out of date with the base branch.")
    unstable = any(state not in PASSING for state in states.values())
    return Mergeability(True, "unstable" if unstable else "clean")


def _passes(states: dict[tuple[str, int | None], str], needed: RequiredCheck) -> bool:
    found = [
        state
        for (name, app_id), state in states.items()
        if name == needed.context and needed.app_id in {None, app_id}
    ]
    return bool(found) and all(state in PASSING for state in found)
