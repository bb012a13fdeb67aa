"""What there is to know about each command, as data: feeds the parser, `/help`, the README and the CLI's help."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from kfops.command.model import CanaryAction, CanaryControl, Command, Deploy
from kfops.domain.operation import Kind
from kfops.domain.pull_request import Permission

PermissionKey = Literal["run", "staging_deploy", "deploy", "rollback", "force"]

DEFAULT_PERMISSIONS: dict[PermissionKey, Permission] = {
    "run": Permission.WRITE,
    "staging_deploy": Permission.WRITE,
    "deploy": Permission.MAINTAIN,
    "rollback": Permission.WRITE,
    "force": Permission.ADMIN,
}


@dataclass(frozen=True)
class Argument:
    metavar: str
    is_required: bool = False


@dataclass(frozen=True)
class Flag:
    """`metavar` empty: a switch. `value_optional`: `--name` and `--name=VALUE` are both right."""

    name: str
    metavar: str = ""
    is_required: bool = False
    is_repeatable: bool = False
    value_optional: bool = False

    @property
    def usage(self) -> str:
        if self.value_optional:
            text = f"{self.name}[={self.metavar}]"
        else:
            text = f"{self.name} {self.metavar}".rstrip()
        text = text if self.is_required else f"[{text}]"
        return f"{text}…" if self.is_repeatable else text


@dataclass(frozen=True)
class Entry:
    """One command. `permission_key` names the entry of `permissions` in kfops.yaml; None: whoever can read."""

    kind: Kind
    name: str
    summary: str
    permission_key: PermissionKey | None
    examples: tuple[str, ...]
    arguments: tuple[Argument, ...] = ()
    flags: tuple[Flag, ...] = ()

    @property
    def aliases(self) -> tuple[str, ...]:
        """Underscore and hyphen are equal; these are the spellings beside `name`."""
        others = {self.name.replace("_", "-"), self.name.replace("-", "_")} - {self.name}
        return tuple(sorted(others))

    @property
    def permission(self) -> Permission:
        """The role that the command needs where kfops.yaml says nothing."""
        return DEFAULT_PERMISSIONS[self.permission_key] if self.permission_key else Permission.READ

    @property
    def usage(self) -> str:
        arguments = (one.metavar if one.is_required else f"[{one.metavar}]" for one in self.arguments)
        return " ".join((f"/{self.name}", *arguments, *(flag.usage for flag in self.flags)))


_SET = Flag("--set", "NAME=VALUE", is_repeatable=True)
_REASON = Flag("--reason", '"…"', is_required=True)
_RUN = Flag("--run", "ID")
_ENVIRONMENT = Argument("ENV")
_HELD = Argument("ENV", is_required=True)
_SHA = "0123456789abcdef0123456789abcdef01234567"

ENTRIES: tuple[Entry, ...] = (
    Entry(
        Kind.BUILD,
        "build",
        "compile the pipeline in the sandbox, check it, build its images, record the package",
        "run",
        ("/build",),
        flags=(_SET,),
    ),
    Entry(
        Kind.RUN,
        "run",
        "run the last package that was built for this commit",
        "run",
        ("/run", "/run --set time_budget=120"),
        flags=(_SET, Flag("--package", "ID")),
    ),
    Entry(
        Kind.BUILD_RUN,
        "build_run",
        "build, then run, and show the evidence beside production's",
        "run",
        ("/build_run", "/build_run --set time_budget=120 --set data=data/june.csv"),
        flags=(_SET,),
    ),
    Entry(
        Kind.STAGING_DEPLOY,
        "staging_deploy",
        "canary into staging, check, promote; label Deployed-to-staging",
        "staging_deploy",
        ("/staging_deploy", "/staging_deploy --run 42"),
        flags=(_RUN,),
    ),
    Entry(
        Kind.DEPLOY,
        "deploy",
        "gates, canary into production (or ENV), check, promote, label, merge, close",
        "deploy",
        ("/deploy", f"/deploy --sha {_SHA}", '/deploy --force=checks --reason "the runner is down"'),
        arguments=(_ENVIRONMENT,),
        flags=(
            _RUN,
            Flag("--sha", "SHA"),
            Flag("--force", "GATE,…", value_optional=True),
            Flag("--reason", '"…"'),
        ),
    ),
    Entry(
        Kind.ROLLBACK,
        "rollback",
        "back to the last good revision, or the one named; measured and announced",
        "rollback",
        ('/rollback --reason "scores drift"', '/rollback staging --to 7 --reason "wrong data"'),
        arguments=(_ENVIRONMENT,),
        flags=(Flag("--to", "REVISION"), _REASON),
    ),
    Entry(
        Kind.CANARY,
        "canary",
        "steer the rollout that is under way: status, pause, resume, promote or abort",
        "deploy",
        ("/canary status", "/canary pause", "/canary promote", "/canary abort"),
        arguments=(Argument("ACTION", is_required=True),),
    ),
    Entry(
        Kind.STATUS,
        "status",
        "what runs, what serves where, who holds which lock, what is queued",
        None,
        ("/status",),
    ),
    Entry(
        Kind.CANCEL,
        "cancel",
        "stop what is under way, cleanly",
        "run",
        ("/cancel", "/cancel 42"),
        arguments=(Argument("OPERATION"),),
    ),
    Entry(
        Kind.PLAN,
        "plan",
        "what that command would do now, and which gate would refuse it, without doing it",
        None,
        ("/plan deploy", "/plan rollback --reason drill"),
        arguments=(Argument("COMMAND…", is_required=True),),
    ),
    Entry(
        Kind.LOCK,
        "lock",
        "hold an environment: nothing is deployed there until it is unlocked",
        "rollback",
        ('/lock production --reason "sale weekend"', '/lock staging --reason "load test" --for 2h'),
        arguments=(_HELD,),
        flags=(_REASON, Flag("--for", "DURATION")),
    ),
    Entry(
        Kind.UNLOCK,
        "unlock",
        "let an environment go",
        "rollback",
        ("/unlock production",),
        arguments=(_HELD,),
    ),
    Entry(
        Kind.OK_TO_TEST,
        "ok-to-test",
        "let this one commit of a fork run in the sandbox (it is never deployed)",
        "run",
        (f"/ok-to-test {_SHA}",),
        arguments=(Argument("SHA", is_required=True),),
    ),
    Entry(
        Kind.HELP,
        "help",
        "the commands that you may use here, and why not the others",
        None,
        ("/help",),
    ),
)  # fmt: skip

_BY_NAME = {entry.name.replace("-", "_"): entry for entry in ENTRIES}
_BY_KIND = {entry.kind: entry for entry in ENTRIES}


def find(name: str) -> Entry | None:
    """By its name as typed, without the slash; `-` and `_` are equal, capitals are not."""
    return _BY_NAME.get(name.replace("-", "_"))


def entry_of(command: Command) -> Entry:
    return _BY_KIND[command.kind]


def keys_needed(command: Command) -> tuple[PermissionKey, ...]:
    """The entries of `permissions` that the author must satisfy, all of them; none: whoever can read (R6, R19)."""
    if isinstance(command, CanaryControl) and command.action is CanaryAction.STATUS:
        return ()
    key = entry_of(command).permission_key
    keys: tuple[PermissionKey, ...] = (key,) if key else ()
    if isinstance(command, Deploy) and command.force:
        keys = (*keys, "force")
    return keys
