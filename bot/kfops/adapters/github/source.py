"""Files of the repository at an exact commit."""

from __future__ import annotations

import re
import shutil
import tempfile
import threading
from base64 import b64decode
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from kfops.adapters.github.answer import NOT_FOUND
from kfops.adapters.github.auth import Purpose
from kfops.adapters.github.client import REPOSITORY, Client, Place
from kfops.adapters.github.git import Git, basic
from kfops.adapters.github.tree import MOST_LISTING, check_size, measure, remove_leaving_links
from kfops.ports.errors import Refused, Unavailable

_SHA = re.compile(r"[0-9a-f]{40}")
_KEPT_COMMITS = 50  # a repository's store is begun anew after so many


class GitHubSource:
    """`git_url` has no slash at its end. `cache_dir` keeps objects from one checkout to the next, where given."""

    def __init__(self, client: Client, git_url: str, *, cache_dir: Path | None, timeout_s: float) -> None:
        self.client, self._git_url, self._cache_dir, self._git_timeout_s = (
            client,
            git_url,
            cache_dir,
            timeout_s,
        )
        self._store_locks: dict[int, threading.Lock] = defaultdict(threading.Lock)

    def file(self, repository_id: int, path: str, ref: str) -> bytes | None:
        """None for what is no file (a folder, a submodule) too. Refused above 1 MB, which GitHub does not send."""
        if any(part in {"", ".", ".."} for part in path.split("/")):
            raise Refused(f"{path!r} is no path in a repository", fix="give it from the repository's root")
        template = f"{REPOSITORY}/contents/{{path}}"
        answer = self.client.send("GET", template, repository_id, query={"ref": ref}, path=path)
        if answer.status == NOT_FOUND:
            return None
        found = answer.accepted()
        if not isinstance(found, dict) or found.get("type") != "file":
            return None
        if found.get("encoding") != "base64":
            raise Refused(f"{path} has {found.get('size')} bytes; GitHub sends files up to 1 MB only")
        return b64decode(found["content"])

    def checkout(self, repository_id: int, sha: str, into: Path) -> None:
        """Refused for what is no full commit id, a commit that the repository does not have, and one that is too large."""
        if not _SHA.fullmatch(sha):
            raise Refused(f"{sha!r} is no commit id", fix="give all 40 hexadecimal digits")
        into.mkdir(parents=True, exist_ok=True)
        if any(into.iterdir()):
            raise Refused(f"the folder for the checkout of {sha[:7]} is not empty")
        with self._store(repository_id) as store:
            self._fill(repository_id, sha, store, into)
        remove_leaving_links(into)

    def _fill(self, repository_id: int, sha: str, store: Path, into: Path) -> None:
        bare = Git(store, self._git_timeout_s)
        bare.run("init", "--quiet", "--bare", "--template=")  # also mends what an interrupted one left
        ref = f"refs/kfops/{sha}"
        if not bare.run("for-each-ref", ref):
            self._fetch(repository_id, f"{sha}:{ref}", bare)
        found = bare.run("rev-parse", "--verify", f"{ref}^{{commit}}").strip()
        if found != sha:
            raise Refused(f"git fetched {found[:7]}, not {sha[:7]}")
        listing, is_all = bare.beginning("ls-tree", "-r", "-l", "-z", sha, most=MOST_LISTING)
        check_size(measure(listing), is_all=is_all)
        with tempfile.TemporaryDirectory(prefix="kfops-index-") as scratch:
            whole = replace(bare, work_tree=into, index=Path(scratch, "index"))
            whole.run("read-tree", sha)
            whole.run("checkout-index", "--all", "--force", "--quiet")

    def _fetch(self, repository_id: int, refspec: str, bare: Git) -> None:
        place = self.client.place(repository_id)
        try:
            self._fetch_from(place, repository_id, refspec, bare)
        except (Refused, Unavailable):
            # git is not let follow a renamed repository to its new address: that could be anybody's host.
            self.client.forget(repository_id)
            renamed = self.client.place(repository_id)
            if renamed.full_name == place.full_name:
                raise
            self._fetch_from(renamed, repository_id, refspec, bare)

    def _fetch_from(self, place: Place, repository_id: int, refspec: str, bare: Git) -> None:
        token = self.client.tokens.token(place.installation_id, repository_id, Purpose.FETCH)
        address = f"{self._git_url}/{place.full_name}.git"
        git = replace(bare, header_for=address, header=basic(token))
        self.client.transport.count("git fetch")
        git.run("fetch", "--quiet", "--depth=1", "--no-tags", "--no-write-fetch-head", address, refspec)

    @contextmanager
    def _store(self, repository_id: int) -> Iterator[Path]:
        """A bare repository, this thread's alone while it is used."""
        if self._cache_dir is None:
            with tempfile.TemporaryDirectory(prefix="kfops-source-") as folder:
                yield Path(folder, "source.git")
            return
        with self._store_locks[repository_id]:
            store = self._cache_dir / f"{repository_id}.git"
            kept = store / "refs" / "kfops"
            if kept.is_dir() and len(list(kept.iterdir())) >= _KEPT_COMMITS:
                shutil.rmtree(store)
            self._cache_dir.mkdir(parents=True, exist_ok=True)
            yield store
