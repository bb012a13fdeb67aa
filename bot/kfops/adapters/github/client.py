"""Calls about one repository, which the core names by number: its present name, and a token for it."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from kfops.adapters.github.answer import UNAUTHORIZED, Answer
from kfops.adapters.github.auth import Purpose, Tokens
from kfops.adapters.github.call import Call
from kfops.adapters.github.transport import PER_PAGE, Transport
from kfops.ports.errors import Refused, Unavailable

REPOSITORY = "/repos/{owner}/{repo}"


@dataclass(frozen=True)
class Place:
    """Where a repository is at present."""

    full_name: str
    installation_id: int | None = None

    @property
    def names(self) -> dict[str, str | int]:
        owner, _, name = self.full_name.partition("/")
        return {"owner": owner, "repo": name}


@dataclass(frozen=True)
class Asked:
    """A call about a repository, before its name and a token are known."""

    method: str
    template: str
    names: Mapping[str, str | int]
    query: Mapping[str, str | int]
    body: Any = None


class Client:
    """What the topics share. Thread-safe."""

    def __init__(self, transport: Transport, tokens: Tokens) -> None:
        self.transport, self.tokens = transport, tokens
        self._places: dict[int, Place] = {}
        self._lock = threading.Lock()
        self._me: int | None = None

    def remember(self, repository_id: int, full_name: str, installation_id: int | None = None) -> None:
        """What a webhook said of a repository; spares a search. A known installation stays unless one is given."""
        with self._lock:
            known = self._places.get(repository_id)
            kept = installation_id or (known.installation_id if known else None)
            self._places[repository_id] = Place(full_name, kept)

    def forget(self, repository_id: int) -> None:
        with self._lock:
            self._places.pop(repository_id, None)

    def place(self, repository_id: int) -> Place:
        """Refused where no installation and no token reaches such a repository."""
        with self._lock:
            known = self._places.get(repository_id)
        if known is not None and (known.installation_id is not None or not self.tokens.is_app):
            return known
        found = self._installed(known.full_name) if known else self._search(repository_id)
        with self._lock:
            self._places[repository_id] = found
        return found

    def send(
        self,
        method: str,
        template: str,
        repository_id: int,
        purpose: Purpose = Purpose.READ,
        *,
        query: Mapping[str, str | int] | None = None,
        body: Any = None,
        **names: str | int,
    ) -> Answer:
        """`template` begins with `/repos/{owner}/{repo}`. The answer, refusals included."""
        return self._send(Asked(method, template, names, query or {}, body), repository_id, purpose)

    def every(
        self,
        template: str,
        repository_id: int,
        *,
        query: Mapping[str, str | int] | None = None,
        under: str = "",
        **names: str | int,
    ) -> list[Any]:
        """All items of all pages. `under`: the list's key in an object that also tells the total.

        Unavailable where fewer came than the total says: a list that is not whole proves nothing.
        """
        answers = list(self.pages(template, repository_id, query=query, **names))
        items = [item for one in answers for item in (one.data[under] if under else one.data)]
        total = answers[0].data.get("total_count") if under else None
        if isinstance(total, int) and len(items) < total:
            raise Unavailable(f"GitHub listed {len(items)} of {total} for GET {template}")
        return items

    def pages(
        self,
        template: str,
        repository_id: int,
        *,
        query: Mapping[str, str | int] | None = None,
        **names: str | int,
    ) -> Iterator[Answer]:
        """A list's pages as they are read, the first one at least."""
        asked = Asked("GET", template, names, {**(query or {}), "per_page": PER_PAGE})
        first = self._send(asked, repository_id, Purpose.READ)
        call, token = self._authorised(asked, repository_id, Purpose.READ)
        return self.transport.pages_from(call, first, token)

    def me(self, repository_id: int) -> int:
        """The numeric id of the account that the bot's comments are by."""
        if self._me is None:
            if self.tokens.is_app:
                slug = self.tokens.as_app("GET", "/app").accepted()["slug"]
                names: dict[str, str | int] = {"username": f"{slug}[bot]"}
                call = Call("GET", "/users/{username}", names, reads_as="users")
            else:
                call = Call("GET", "/user", reads_as="users")
            place = self.place(repository_id)
            token = self.tokens.token(place.installation_id, repository_id, Purpose.READ)
            self._me = int(self.transport.send(call, token).accepted()["id"])
        return self._me

    def _send(self, asked: Asked, repository_id: int, purpose: Purpose) -> Answer:
        call, token = self._authorised(asked, repository_id, purpose)
        answer = self.transport.send(call, token)
        if not self._is_stale(answer, repository_id, token):
            return answer
        call, token = self._authorised(asked, repository_id, purpose)
        return self.transport.send(call, token)

    def _authorised(self, asked: Asked, repository_id: int, purpose: Purpose) -> tuple[Call, str]:
        place = self.place(repository_id)
        payer = str(place.installation_id or "")
        call = Call(
            asked.method,
            asked.template,
            {**place.names, **asked.names},
            asked.query,
            asked.body,
            reads_as=f"{payer} {repository_id} {purpose.name}",
            payer=payer,
        )
        return call, self.tokens.token(place.installation_id, repository_id, purpose)

    def _is_stale(self, answer: Answer, repository_id: int, token: str) -> bool:
        """The name was an old one, or the token has been taken back: both are learnt anew once."""
        if answer.has_moved:
            self.forget(repository_id)
            return True
        if answer.status == UNAUTHORIZED and self.tokens.is_app:
            self.tokens.forget(token)
            return True
        return False

    def _installed(self, full_name: str) -> Place:
        answer = self.tokens.as_app("GET", f"{REPOSITORY}/installation", **Place(full_name).names)
        return Place(full_name, int(answer.accepted()["id"]))

    def _search(self, repository_id: int) -> Place:
        if not self.tokens.is_app:
            token = self.tokens.token(None, None, Purpose.READ)
            call = Call("GET", "/repositories/{repository_id}", {"repository_id": repository_id})
            return Place(str(self.transport.send(call, token).accepted()["full_name"]))
        for installation in self.tokens.all_as_app("/app/installations"):
            number = int(installation["id"])
            token = self.tokens.token(number, None, Purpose.FETCH)
            call = Call(
                "GET",
                "/installation/repositories",
                query={"per_page": PER_PAGE},
                reads_as=f"installation {number}",
                payer=str(number),
            )
            for answer in self.transport.pages(call, token):
                for one in answer.data["repositories"]:
                    if one["id"] == repository_id:
                        return Place(str(one["full_name"]), number)
        raise Refused(
            f"the GitHub App reaches no repository with the id {repository_id}",
            fix="install the app on the repository",
        )
