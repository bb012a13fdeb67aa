"""Repositories, collaborators, branches, protection and rules."""

from __future__ import annotations

from typing import Any

from fastapi import Response
from pydantic import BaseModel, ConfigDict

from kfops.playground.actions import repositories as actions
from kfops.playground.actions.refs import tell_changes
from kfops.playground.errors import Refusal, invalid, not_found
from kfops.playground.git.merging import identity, write_commit
from kfops.playground.mergeability import rules_for
from kfops.playground.rest.door import At, In, Routes, answer, created, nothing, page_of
from kfops.playground.roles import caller_role, role_of
from kfops.playground.state import Protection, Repository, RequiredCheck, Role, Rule
from kfops.playground.wire import commits as wire
from kfops.playground.wire.apps import installation as shown_installation
from kfops.playground.wire.basics import permissions, simple_user
from kfops.playground.wire.repositories import full

routes = Routes()
_ROLES = {
    "pull": Role.READ,
    "push": Role.WRITE,
    **{role.label: role for role in Role if role is not Role.NONE},
}
_OLD_NAMES = {Role.MAINTAIN: "write", Role.TRIAGE: "read"}  # `permission` knows four words, `role_name` all


class NewRepository(BaseModel):
    name: str
    description: str | None = None
    private: bool = False
    auto_init: bool = False
    allow_squash_merge: bool = True
    allow_merge_commit: bool = True
    allow_rebase_merge: bool = True
    delete_branch_on_merge: bool = False


@routes.post("/user/repos")
def create(at: In, body: NewRepository) -> Response:
    owner = at.caller.account
    if at.caller.installation is not None:
        raise Refusal(403, "Resource not accessible by integration")
    made = actions.create(at.forge, owner, body.name, private=body.private, description=body.description)
    made.allow_squash_merge, made.allow_merge_commit = body.allow_squash_merge, body.allow_merge_commit
    made.allow_rebase_merge, made.delete_branch_on_merge = (
        body.allow_rebase_merge,
        body.delete_branch_on_merge,
    )
    if body.auto_init:
        _first_commit(at, made)
    return created(full(at.forge, made, Role.ADMIN))


def _first_commit(at: At, repository: Repository) -> None:
    bare, owner = at.forge.bare(repository), at.caller.account
    text = f"# {repository.name}\n{repository.description or ''}".encode()
    blob = bare.run("hash-object", "-w", "--stdin", stdin=text).stdout.decode().strip()
    tree = bare.text("mktree", stdin=f"100644 blob {blob}\tREADME.md\n".encode())
    sha = write_commit(bare, tree, [], "Initial commit\n", identity(owner.login, owner.email, at.forge.now()))
    bare.update_ref(f"refs/heads/{repository.default_branch}", sha)
    tell_changes(at.forge, repository, owner)


@routes.get("/user/repos")
def mine(at: In) -> Response:
    """Every repository that the caller reaches by more than its being public."""
    user = at.caller.account
    reached = [
        (one, role)
        for one in at.forge.state.repositories.values()
        if (role := role_of(one, user)) > (Role.NONE if one.private else Role.READ) or user.id in one.roles
    ]
    return page_of(at, reached, lambda pair: full(at.forge, *pair))


@routes.get("/repos/{owner}/{repo}")
def get(at: In) -> Response:
    repository = at.repository
    return answer(full(at.forge, repository, caller_role(repository, at.caller)))


class ForkRequest(BaseModel):
    name: str | None = None


@routes.post("/repos/{owner}/{repo}/forks")
def fork(at: In, body: ForkRequest | None = None) -> Response:
    made = actions.fork(at.forge, at.repository, at.caller.account, body.name if body else None)
    return answer(full(at.forge, made, Role.ADMIN), 202)


@routes.get("/repos/{owner}/{repo}/installation")
def installation(at: In) -> Response:
    app = at.app
    repository = at.forge.state.repository(*(at.request.path_params[name] for name in ("owner", "repo")))
    for one in at.forge.state.installations.values():
        if repository is not None and (one.app_id, one.account_id) == (app.id, repository.owner_id):
            return answer(shown_installation(at.forge, one))
    raise not_found()


@routes.get("/repos/{owner}/{repo}/collaborators/{username}/permission")
def permission(at: In, username: str) -> Response:
    repository = at.repository
    at.require(Role.READ, "metadata", level="read")
    user = at.forge.user(username)
    role = role_of(repository, user)
    shown = {**simple_user(at.forge, user), "permissions": permissions(role), "role_name": role.label}
    return answer({"permission": _OLD_NAMES.get(role, role.label), "role_name": role.label, "user": shown})


@routes.get("/repos/{owner}/{repo}/collaborators/{username}")
def collaborator(at: In, username: str) -> Response:
    at.require(Role.READ, "metadata", level="read")
    user = at.forge.user(username)
    everyone = Role.NONE if at.repository.private else Role.READ
    if role_of(at.repository, user) > everyone or user.id in at.repository.roles:
        return nothing()
    raise not_found()


class Invitation(BaseModel):
    permission: str = "push"


@routes.put("/repos/{owner}/{repo}/collaborators/{username}")
def set_role(at: In, username: str, body: Invitation | None = None) -> Response:
    """GitHub invites; here the role holds at once."""
    at.require(Role.ADMIN, "administration")
    asked = body.permission if body else "push"
    if asked not in _ROLES:
        raise invalid("Collaborator", "permission")
    at.repository.roles[at.forge.user(username).id] = _ROLES[asked]
    return nothing()


@routes.get("/repos/{owner}/{repo}/branches")
def list_branches(at: In) -> Response:
    found = at.forge.bare(at.repository).refs("refs/heads")
    return page_of(
        at,
        list(found.items()),
        lambda pair: wire.branch_summary(
            at.forge, at.repository, pair[0].removeprefix("refs/heads/"), pair[1]
        ),
    )


@routes.get("/repos/{owner}/{repo}/branches/{branch:path}/protection")
def get_protection(at: In, branch: str) -> Response:
    at.require(Role.WRITE, "administration", "contents", level="read")
    found = at.repository.protections.get(branch)
    if found is None:
        raise Refusal(404, "Branch not protected")
    return answer(wire.protection(at.forge, at.repository, branch, found))


class CheckAsked(BaseModel):
    context: str
    app_id: int | None = None


class ChecksAsked(BaseModel):
    strict: bool = False
    contexts: list[str] = []
    checks: list[CheckAsked] = []


class ReviewsAsked(BaseModel):
    dismiss_stale_reviews: bool = False
    required_approving_review_count: int = 1


class ProtectionAsked(BaseModel):
    required_status_checks: ChecksAsked | None
    enforce_admins: bool | None
    required_pull_request_reviews: ReviewsAsked | None
    restrictions: dict[str, Any] | None


@routes.put("/repos/{owner}/{repo}/branches/{branch:path}/protection")
def protect(at: In, branch: str, body: ProtectionAsked) -> Response:
    at.require(Role.ADMIN, "administration")
    asked = body.required_status_checks or ChecksAsked()
    needed = [RequiredCheck(one.context, one.app_id) for one in asked.checks]
    needed += [RequiredCheck(name) for name in asked.contexts if name not in {one.context for one in needed}]
    reviews = body.required_pull_request_reviews
    at.repository.protections[branch] = Protection(
        checks=tuple(needed),
        strict=asked.strict,
        approvals=reviews.required_approving_review_count if reviews else 0,
        dismiss_stale=reviews.dismiss_stale_reviews if reviews else False,
        enforce_admins=bool(body.enforce_admins),
    )
    return answer(wire.protection(at.forge, at.repository, branch, at.repository.protections[branch]))


@routes.delete("/repos/{owner}/{repo}/branches/{branch:path}/protection")
def unprotect(at: In, branch: str) -> Response:
    at.require(Role.ADMIN, "administration")
    if at.repository.protections.pop(branch, None) is None:
        raise Refusal(404, "Branch not protected")
    return nothing()


@routes.get("/repos/{owner}/{repo}/branches/{branch:path}")
def get_branch(at: In, branch: str) -> Response:
    ref = f"refs/heads/{branch}"
    sha = at.forge.bare(at.repository).refs(ref).get(ref)
    if sha is None:
        raise Refusal(404, "Branch not found")
    return answer(wire.branch(at.forge, at.repository, branch, sha))


@routes.get("/repos/{owner}/{repo}/rules/branches/{branch:path}")
def get_rules(at: In, branch: str) -> Response:
    name = at.forge.state.full_name(at.repository)

    def shown(rule: Rule) -> dict[str, Any]:
        source = {"ruleset_source_type": "Repository", "ruleset_source": name, "ruleset_id": rule.ruleset_id}
        return {"type": rule.kind, **({"parameters": rule.parameters} if rule.parameters else {}), **source}

    return page_of(at, rules_for(at.repository, branch), shown)


class RuleAsked(BaseModel):
    type: str
    parameters: dict[str, Any] = {}


class RulesetAsked(BaseModel):
    model_config = ConfigDict(extra="ignore")
    name: str
    enforcement: str
    rules: list[RuleAsked] = []
    conditions: dict[str, Any] = {}


@routes.post("/repos/{owner}/{repo}/rulesets")
def create_ruleset(at: In, body: RulesetAsked) -> Response:
    at.require(Role.ADMIN, "administration")
    included = body.conditions.get("ref_name", {}).get("include", ["~DEFAULT_BRANCH"])
    branches = tuple(str(ref).removeprefix("refs/heads/") for ref in included)
    number = at.forge.state.next_id()
    if body.enforcement == "active":
        for one in body.rules:
            parameters = actions.whole_rule(one.type, one.parameters)
            at.repository.rules.append(Rule(number, one.type, parameters, branches))
    shown = {"id": number, "name": body.name, "enforcement": body.enforcement, "source_type": "Repository"}
    return answer({**shown, "source": at.forge.state.full_name(at.repository)}, 201)
