"""`kfops setup github`: a page on this machine leads to the forge, and takes back the app that was made there."""

from __future__ import annotations

import hmac
import json
import os
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from html import escape
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Protocol
from urllib.parse import parse_qs, urlsplit

from kfops.cli.exits import Exit, Stop
from kfops.ports.errors import Refused, Unavailable

ENVIRONMENT, KEY = "kfops.env", "kfops-app.pem"


class Registration(Protocol):
    """The forge's side, as an adapter gives it."""

    def form_address(self, organisation: str, state: str) -> str: ...

    def manifest(self, name: str, *, bot_url: str, redirect_url: str) -> Mapping[str, Any]: ...

    def settings(self, code: str) -> tuple[Mapping[str, str], str, str]:
        """`KFOPS_…` variables without the key's file, the private key (PEM), and the page to install the app from."""
        ...


@dataclass
class Wizard:
    """One registration: asked for, made, written down. `url` is where the forge will reach the bot, `here` where
    the page is.
    """

    forge: Registration
    name: str
    url: str
    organisation: str
    folder: Path
    state: str = field(default_factory=lambda: secrets.token_urlsafe(24))
    here: str = ""
    page: str = ""
    failure: str = ""
    done: threading.Event = field(default_factory=threading.Event)

    def begin(self) -> None:
        """Stop where files are in the way: nothing is made on the forge that could not be kept."""
        if not self.url.startswith(("https://", "http://")):
            raise Stop(
                Exit.USAGE,
                f"--url {self.url!r}: expected the bot's address, such as https://kfops.example.com",
            )
        taken = [one for one in (ENVIRONMENT, KEY) if (self.folder / one).exists()]
        if taken:
            raise Stop(
                Exit.USAGE,
                f"{self.folder / taken[0]} is there already; move it away, or choose another --out",
            )
        if not self.folder.is_dir():
            raise Stop(Exit.USAGE, f"--out {self.folder}: no such folder")

    def ask(self) -> str:
        """The page that leads to the forge. A browser has to post the manifest: the person is signed in there."""
        described = self.forge.manifest(
            self.name, bot_url=self.url.rstrip("/"), redirect_url=f"{self.here}/made"
        )
        action = escape(self.forge.form_address(self.organisation, self.state))
        rights = "".join(
            f"<li><code>{escape(name)}</code>: {escape(level)}</li>"
            for name, level in described["default_permissions"].items()
        )
        return (
            f"<h1>Register {escape(self.name)}</h1>"
            f"<p>The forge will ask you to confirm an app that reaches the bot at <code>{escape(self.url)}</code>, with these "
            f"permissions and no others:</p><ul>{rights}</ul>"
            f'<form method="post" action="{action}">'
            f'<input type="hidden" name="manifest" value="{escape(json.dumps(described))}">'
            "<button>Continue on the forge</button></form>"
        )

    def made(self, code: str, state: str) -> str:
        if not hmac.compare_digest(state.encode(), self.state.encode()):
            return "<h1>This answer belongs to another registration.</h1>"
        if self.done.is_set():
            return "<h1>This registration has ended.</h1>"
        try:
            settings, key, self.page = self.forge.settings(code)
            self._write(settings, key)
        except (Refused, Unavailable, OSError) as error:
            self.failure = str(error)
            return f"<h1>That did not work</h1><p>{escape(self.failure)}</p>"
        finally:
            self.done.set()
        return (
            f"<h1>{escape(self.name)} is registered</h1><p>Its credentials are in <code>{escape(str(self.folder / ENVIRONMENT))}</code>. "
            f'Now <a href="{escape(self.page)}/installations/new">install it</a> on the repositories that it shall serve.</p>'
        )

    def _write(self, settings: Mapping[str, str], key: str) -> None:
        _private(self.folder / KEY, key)
        whole = {
            **settings,
            "KFOPS_APP_KEY_FILE": str((self.folder / KEY).absolute()),
            "KFOPS_PUBLIC_URL": self.url.rstrip("/"),
        }
        lines = [f"{name}={_quoted(value)}" for name, value in sorted(whole.items())]
        _private(self.folder / ENVIRONMENT, "\n".join(lines) + "\n")


def run(wizard: Wizard, port: int) -> str:
    """Serve the page until the app is made, and return the app's page. Stop with what went wrong."""
    wizard.begin()
    with ThreadingHTTPServer(("127.0.0.1", port), _handler(wizard)) as server:
        wizard.here = f"http://127.0.0.1:{server.server_address[1]}"
        print(
            f"Open {wizard.here}/ in the browser where you are signed in to the forge. Ctrl+C ends this.",
            flush=True,
        )
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        try:
            wizard.done.wait()
        except KeyboardInterrupt:
            raise Stop(Exit.INTERRUPTED, "interrupted; nothing was written") from None
        finally:
            server.shutdown()
            thread.join()
    if wizard.failure:
        raise Stop(Exit.ENGINE, wizard.failure)
    return wizard.page


def _handler(wizard: Wizard) -> type[BaseHTTPRequestHandler]:
    class Page(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = urlsplit(self.path)
            given = {name: values[0] for name, values in parse_qs(asked.query).items()}
            if self.headers.get("Host") != wizard.here.removeprefix("http://"):
                self._answer(403, "<h1>Not here</h1>")  # a web site that gave this machine its own name
            elif asked.path == "/":
                self._answer(200, wizard.ask())
            elif asked.path == "/made":
                self._answer(200, wizard.made(given.get("code", ""), given.get("state", "")))
            else:
                self._answer(404, "<h1>Nothing is here</h1>")

        def _answer(self, status: int, body: str) -> None:
            text = f"<!doctype html><meta charset=utf-8><title>Kfops</title>{body}".encode()
            self.send_response(status)
            self.send_header("Content-Type", "text/html; charset=utf-8")
            self.send_header("Content-Length", str(len(text)))
            self.send_header("Cache-Control", "no-store")
            self.end_headers()
            self.wfile.write(text)

        def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the base class's word
            """The code in the address is a credential: no request is written down."""

    return Page


def _private(path: Path, content: str) -> None:
    """Readable by its owner from its first moment on; never over something that is there."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8") as file:
        file.write(content)


def _quoted(value: str) -> str:
    """For a shell, and for systemd's EnvironmentFile."""
    return "'" + value.replace("'", "'\\''") + "'"
