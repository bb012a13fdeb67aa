"""Everything that a deployment is judged by, gathered through ports. Nothing is decided here."""

from __future__ import annotations

from dataclasses import dataclass, replace

from kfops.command.catalog import keys_needed
from kfops.command.model import Deploy, StagingDeploy
from kfops.command.serialise import from_json
from kfops.config.meaning import STAGING
from kfops.config.policy import freeze_at
from kfops.config.who import Who
from kfops.domain.facts import DeployFacts as StoredFacts
from kfops.domain.facts import RunFacts, load
from kfops.domain.operation import ROLLOUTS, Operation
from kfops.domain.pull_request import Permission, PullRequest
from kfops.domain.record import RunRecord
from kfops.domain.rollout import Rollout
from kfops.rules import gate
from kfops.rules.gate import Approvals, Asker, Decision, DeployFacts, Live, Requirement
from kfops.workflow.context import Context
from kfops.workflow.gathering import RulesRead, asker, live, needed, policy_refusal
from kfops.workflow.holding import held, holder
from kfops.workflow.rollouts.placing import place_by_rules

WORKFLOWS = ".github/workflows/"


def environment_name(operation: Operation) -> str:
    command = from_json(operation.subject.command)
    return command.environment if isinstance(command, Deploy) else STAGING


def rollout_of(operation: Operation) -> Rollout | None:
    """None before it began, and of what is no rollout."""
    if operation.kind not in ROLLOUTS or not operation.facts:
        return None
    return load(StoredFacts, operation.facts).rollout


def command_of(context: Context) -> Deploy | StagingDeploy:
    command = from_json(context.operation.subject.command)
    if not isinstance(command, Deploy | StagingDeploy):
        raise TypeError(f"operation {context.operation.id} holds {command}, not a deployment")
    return command


@dataclass(frozen=True)
class Judged:
    facts: DeployFacts
    live: Live
    run: RunRecord | None
    asker: Asker
    needed: tuple[Who, ...]

    def decision(self, operation: Operation) -> Decision:
        """May the deployment begin?"""
        if isinstance(from_json(operation.subject.command), StagingDeploy):
            return gate.staging_deploy(self.live, self.asker, self.needed, self.facts)
        return gate.deploy(self.live, self.asker, self.needed, self.facts)


def judged(context: Context, read: RulesRead) -> Judged:
    """For the gate, and for `/plan`."""
    command, subject = command_of(context), context.operation.subject
    who = needed(read.rules, keys_needed(command))
    said = command.sha if isinstance(command, Deploy) else None
    state = live(context, read, said_sha=said, reread=True)
    run = run_of(context, command)
    evidence = load(RunFacts, run.evidence) if run else None
    facts = _standing(context, read)
    key = place_by_rules(context, read.rules, facts.environment)
    staging = place_by_rules(context, read.rules, STAGING)
    serving = context.ports.serving
    wants_staging = Requirement.STAGING in facts.requires
    facts = replace(
        facts,
        # What another operation holds is waited for, as long as it takes; what a person holds is not.
        lock=facts.lock if facts.lock and facts.lock.operation_id is None else None,
        run_succeeded=run is not None,
        model_digest=run.model_digest if run else None,
        failed_gates=tuple(one.text for one in evidence.gates if one.holds is False) if evidence else (),
        staging_digest=serving.observe(staging).stable.digest if wants_staging else None,
        serving_digest=serving.observe(key).stable.digest,
    )
    facts = _with_forge(context, facts, state)
    pull, forge = state.pull_request, context.ports.forge
    if Requirement.UP_TO_DATE in facts.requires:
        is_current = forge.is_up_to_date(subject.repository_id, pull.base_ref, pull.head_sha)
        facts = replace(facts, is_up_to_date=is_current)
    if facts.merges:
        changed = forge.changed_files(subject.repository_id, subject.pull_request)
        facts = replace(facts, changes_workflows=any(path.startswith(WORKFLOWS) for path in changed))
    return Judged(facts, state, run, asker(context, who), who)


def judged_again(
    context: Context, read: RulesRead, rules_digest: str, pull: PullRequest | None = None
) -> Decision:
    """R8: what must still hold on the way. `rules_digest`: of the rules under which the deployment began.

    `pull`: the pull request, where it has just been read for the merge. What has all traffic by then is merged in a
    freeze too: to take it back would be the larger change.
    """
    command = command_of(context)
    who = needed(read.rules, keys_needed(command))
    state = live(context, read, reread=True, pull=pull)
    facts = replace(_standing(context, read), rules_changed=rules_digest not in {"", read.digest})
    facts = replace(facts, freeze=None) if pull else facts
    facts = _with_forge(context, facts, state)
    return gate.again(state, asker(context, who), who, facts, f"/{context.operation.kind.value}")


def run_of(context: Context, command: Deploy | StagingDeploy) -> RunRecord | None:
    """The newest succeeded run of this very commit, or the one that was named (R13)."""
    subject = context.operation.subject
    runs = context.ports.ledger.runs(
        subject.repository_id, pull_request=subject.pull_request, commit_sha=subject.head_sha
    )
    fitting = (run for run in runs if run.state == "SUCCEEDED" and run.model_digest)
    return next((run for run in fitting if command.run in {None, str(run.operation_id)}), None)


def _standing(context: Context, read: RulesRead) -> DeployFacts:
    """What the rules, the policy and the ledger say of the environment."""
    options = context.options
    command, name = command_of(context), environment_name(context.operation)
    environment = read.rules.environment(name)
    refused = policy_refusal(context, read, name)
    freeze = freeze_at(options.policy, read.repository.full_name, name, context.now)
    return DeployFacts(
        environment=name,
        is_known_environment=environment is not None,
        requires=frozenset(Requirement(one) for one in environment.requires) if environment else frozenset(),
        rules_adopted=read.rules.is_adopted,
        merges=bool(environment and environment.merge),
        needs_ready=isinstance(command, Deploy),
        run_succeeded=False,
        model_digest=None,
        lock=held(context, name),
        own_lock_holder=holder(context.operation),
        policy_refusal=refused,
        freeze=f"{freeze.reason}, until {freeze.until:%Y-%m-%d %H:%M} UTC" if freeze else None,
        forced=frozenset(skip.value for skip in command.force)
        if isinstance(command, Deploy)
        else frozenset(),
    )


def _with_forge(context: Context, facts: DeployFacts, state: Live) -> DeployFacts:
    """Checks and approvals, asked only where they are required and not skipped by `--force`."""
    subject, forge, pull = context.operation.subject, context.ports.forge, state.pull_request
    if Requirement.CHECKS in facts.requires and "checks" not in facts.forced:
        facts = replace(
            facts, checks=forge.required_checks(subject.repository_id, pull.base_ref, pull.head_sha)
        )
    wants_approval = facts.requires & {Requirement.APPROVAL, Requirement.OTHER_APPROVAL}
    if wants_approval and "approval" not in facts.forced:
        facts = replace(facts, approvals=_approvals(context, pull.head_sha))
    return facts


def _approvals(context: Context, head_sha: str) -> Approvals:
    subject, forge = context.operation.subject, context.ports.forge
    reviews = forge.reviews(subject.repository_id, subject.pull_request)
    permissions: dict[int, Permission] = {}
    for review in reviews:
        if review.reviewer.id not in permissions:
            permissions[review.reviewer.id] = forge.permission(subject.repository_id, review.reviewer)
    head = context.ports.ledger.head(subject.repository_id, subject.pull_request)
    is_known = head is not None and head.head_sha == head_sha and head.sender.id > 0
    return Approvals(reviews, permissions, head.sender if head and is_known else None)
