"""What is wrong with the app, before a pull request finds out."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from kfops.adapters.github.auth import Credentials, Purpose, Tokens
from kfops.adapters.github.call import Call
from kfops.adapters.github.manifest import EVENTS, permissions
from kfops.adapters.github.transport import Transport

_LEVELS = ("", "read", "write", "admin")


def examine(
    credentials: Credentials, base_url: str, now: Callable[[], datetime]
) -> Iterator[tuple[str, str, bool]]:
    """(what is wrong, what mends it, whether the bot cannot work like this), nothing where all is well. Raises what the transport raises."""
    transport = Transport(base_url, now=now)
    try:
        tokens = Tokens(transport, credentials, now)
        if not tokens.is_app:
            transport.send(Call("GET", "/user"), tokens.token(None, None, Purpose.READ)).accepted()
            yield (
                "the bot works with a plain token: its rights are a person's, and its comments too",
                "register an app: kfops setup github",
                False,
            )
            return
        app = tokens.as_app("GET", "/app").accepted()
        yield from _rights(app["permissions"])
        missing = sorted(set(EVENTS) - set(app["events"]))
        if missing:
            yield (
                f"the app does not hear of {', '.join(missing)}",
                "subscribe to these events on the app's page",
                True,
            )
        if not tokens.all_as_app("/app/installations"):
            yield "the app is installed nowhere", f"install it: {app['html_url']}/installations/new", True
    finally:
        transport.close()


def _rights(granted: dict[str, str]) -> Iterator[tuple[str, str, bool]]:
    wanted = permissions()
    for name, level in wanted.items():
        if _LEVELS.index(granted.get(name, "")) < _LEVELS.index(level):
            yield (
                f"the app lacks the permission {name}: {level} (it has {granted.get(name, 'none')})",
                "grant it on the app's page, and accept it where the app is installed",
                True,
            )
    for name in sorted(set(granted) - set(wanted)):
        yield (
            f"the app has the permission {name}: {granted[name]}, which the bot never uses",
            "take it away",
            False,
        )
