"""A data scientist's desk: a clone of the repository, pushed from over HTTP."""

from __future__ import annotations

import os
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from kfops.demo.ask import Conversation, Person
from kfops.demo.story import SceneError
from kfops.demo.variants import Variant, shorten

MAIN = "main"


@dataclass(frozen=True)
class Desk:
    """`folder` is the work tree, `remote` the address of the repository with the owner's token."""

    folder: Path
    remote: str
    owner: Person
    repo: str

    def start(self, template: Path) -> None:
        """The template, with the demo's rules, on the default branch."""
        shutil.copytree(template, self.folder, ignore=shutil.ignore_patterns("__pycache__", ".*_cache"))
        shorten(self.folder)
        self.git("init", "-q", "-b", MAIN)
        self.git("remote", "add", "origin", self.remote)
        self._push("Start from the template", MAIN)

    def propose(self, variant: Variant) -> Conversation:
        """A pull request with this change on top of the default branch as it is now."""
        self.git("fetch", "-q", "origin", MAIN)
        self.git("checkout", "-q", "-B", variant.branch, f"origin/{MAIN}")
        variant.edit(self.folder)
        self._push(variant.title, variant.branch)
        path = f"/repos/{self.repo}/pulls"
        made = self.owner.post(path, title=variant.title, body=variant.body, head=variant.branch, base=MAIN)
        return Conversation(self.owner, self.repo, made["number"])

    def _push(self, message: str, branch: str) -> None:
        self.git("add", "--all")
        self.git("commit", "-q", "-m", message)
        self.git("push", "-q", "origin", branch)

    def git(self, *arguments: str) -> str:
        """Without anybody's settings; SceneError with git's own words, and without the token."""
        login = self.owner.login
        settings = {"user.name": login, "user.email": f"{login}@example.com", "http.proxy": ""}
        flags = [part for key, value in settings.items() for part in ("-c", f"{key}={value}")]
        environment = os.environ | {
            "GIT_CONFIG_GLOBAL": os.devnull,
            "GIT_CONFIG_NOSYSTEM": "1",
            "GIT_TERMINAL_PROMPT": "0",
        }
        done = subprocess.run(
            ["git", *flags, *arguments],
            cwd=self.folder,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if done.returncode:
            said = done.stderr.replace(self.owner.token, "…").strip()
            raise SceneError(f"git {arguments[0]} ended with {done.returncode}: {said}")
        return done.stdout
