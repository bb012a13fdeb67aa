"""One bare repository, by the real git: running it, reading and moving its refs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

ZERO = "0" * 40
_SHA = re.compile(r"[0-9a-f]{40}")
_SETTINGS = {
    "uploadpack.allowReachableSHA1InWant": "true",
    "uploadpack.allowAnySHA1InWant": "true",
    "uploadpack.allowFilter": "true",
    "http.receivepack": "true",
    # Pull-request refs are the forge's own: everybody may fetch them, nobody may push them.
    "receive.hideRefs": "refs/pull",
    "gc.auto": "0",
    "receive.autogc": "false",
    "core.logAllRefUpdates": "false",
}


class GitError(RuntimeError):
    """git ended with an error; the message holds its last words."""


def git_environment(extra: Mapping[str, str] | None = None) -> dict[str, str]:
    """A clean environment: the settings of whoever runs the playground do not reach its repositories."""
    return {
        "PATH": os.environ.get("PATH", os.defpath),
        "LC_ALL": "C.UTF-8",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": os.devnull,
        "GIT_TERMINAL_PROMPT": "0",
        **(extra or {}),
    }


@dataclass(frozen=True)
class Bare:
    path: Path

    def run(
        self,
        *arguments: str,
        stdin: bytes = b"",
        env: Mapping[str, str] | None = None,
        ok: Sequence[int] = (0,),
    ) -> subprocess.CompletedProcess[bytes]:
        done = subprocess.run(
            ["git", "--git-dir", str(self.path), *arguments],
            input=stdin,
            capture_output=True,
            env=git_environment(env),
            check=False,
        )
        if done.returncode not in ok:
            words = done.stderr.decode(errors="replace").strip()
            raise GitError(
                f"git {' '.join(arguments[:2])} in {self.path.name}: exit {done.returncode}: {words[-500:]}"
            )
        return done

    def text(self, *arguments: str, stdin: bytes = b"", env: Mapping[str, str] | None = None) -> str:
        return self.run(*arguments, stdin=stdin, env=env).stdout.decode(errors="replace").strip()

    def resolve(self, ref: str) -> str | None:
        """The commit that a branch, tag, full ref name or sha names; None where there is none."""
        if not ref or ref.startswith("-"):
            return None
        exact = ref.startswith("refs/") or _SHA.fullmatch(ref) is not None
        for candidate in (ref,) if exact else (f"refs/heads/{ref}", f"refs/tags/{ref}", ref):
            done = self.run("rev-parse", "--verify", "--quiet", f"{candidate}^{{commit}}", ok=(0, 1, 128))
            if done.returncode == 0:
                return done.stdout.decode().strip()
        return None

    def refs(self, *under: str) -> dict[str, str]:
        """Full ref name → object, of the given name prefixes (all of them by default)."""
        lines = self.text("for-each-ref", "--format=%(objectname) %(refname)", *under).splitlines()
        return {name: sha for sha, name in (line.split(" ", 1) for line in lines)}

    def update_ref(self, ref: str, new: str, old: str = "") -> None:
        self.run("update-ref", ref, new, *([old] if old else []))

    def delete_ref(self, ref: str) -> None:
        self.run("update-ref", "-d", ref)

    def is_valid_ref(self, ref: str) -> bool:
        return self.run("check-ref-format", ref, ok=(0, 1)).returncode == 0

    def fetch(self, source: Path, refspec: str) -> None:
        """Brings objects from another repository on this machine (a fork, a folder)."""
        self.run("-c", "safe.directory=*", "fetch", "--quiet", "--no-tags", str(source), f"+{refspec}")


def create(path: Path, default_branch: str) -> Bare:
    path.parent.mkdir(parents=True, exist_ok=True)
    bare = Bare(path)
    bare.run("init", "--quiet", "--bare", f"--initial-branch={default_branch}")
    for key, value in _SETTINGS.items():
        bare.run("config", key, value)
    return bare


def snapshot(bare: Bare, folder: Path, branch: str, message: str, who: Mapping[str, str]) -> str:
    """Commits the files of a folder (ignored ones left out) on the branch; the branch then points there."""
    index = bare.path / "snapshot.index"
    env = {"GIT_INDEX_FILE": str(index), **who}
    # -C: from a folder below, `.` would be that folder only.
    bare.run(
        "-C",
        str(folder),
        "--work-tree",
        str(folder.resolve()),
        "-c",
        "core.bare=false",
        "add",
        "--all",
        ".",
        env=env,
    )
    tree = bare.text("write-tree", env=env)
    index.unlink(missing_ok=True)
    ref = f"refs/heads/{branch}"
    before = bare.refs(ref).get(ref)
    sha = bare.text("commit-tree", tree, *(["-p", before] if before else []), env=env, stdin=message.encode())
    bare.update_ref(ref, sha)
    return sha
