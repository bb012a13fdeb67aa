"""One bare repository, by the real git: running it, reading and moving its refs."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

ZERO = "0" * 40
_SHA = re.compile(r"[0-9a-f]{40}")
# Pull-request refs are the forge's own: everybody may fetch them, nobody may push them.
_SETTINGS = """\
[uploadpack]
	allowReachableSHA1InWant = true
	allowAnySHA1InWant = true
	allowFilter = true
[http]
	receivepack = true
[receive]
	hideRefs = refs/pull
	autogc = false
[gc]
	auto = 0
[core]
	logAllRefUpdates = false
"""


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
        if _SHA.fullmatch(ref):
            try:
                return _commit_by_sha(self, ref)
            except LookupError:
                return None
        candidates = (ref,) if ref.startswith("refs/") else (f"refs/heads/{ref}", f"refs/tags/{ref}", ref)
        return next(filter(None, map(self.commit_named, candidates)), None)

    def commit_named(self, name: str) -> str | None:
        """By git's own reading of the name; a branch or tag that is a file of its own needs no git to be read."""
        if name.startswith("refs/") and ".." not in name:
            with suppress(OSError):
                written = (self.path / name).read_text().strip()
                if _SHA.fullmatch(written):
                    return self.resolve(written)
        done = self.run("rev-parse", "--verify", "--quiet", f"{name}^{{commit}}", ok=(0, 1, 128))
        return done.stdout.decode().strip() if done.returncode == 0 else None

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
    with (path / "config").open("a") as config:
        config.write(_SETTINGS)
    return bare


@lru_cache(maxsize=2048)
def _commit_by_sha(bare: Bare, sha: str) -> str:
    """What a sha names stays. That it names nothing does not, so that is not kept: LookupError."""
    found = bare.commit_named(sha)
    if found is None:
        raise LookupError(sha)
    return found


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
