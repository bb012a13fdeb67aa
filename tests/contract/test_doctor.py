"""`kfops doctor`: what is wrong is found before a pull request finds it, and said with what mends it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from time import time

import pytest
from pydantic import SecretStr

from kfops.adapters.github.manifest import EVENTS, permissions
from kfops.adapters.local.sandbox import probe
from kfops.doctor import Finding, examine
from kfops.playground.playground import Playground
from kfops.playground.server import running
from kfops.playground.state import App
from kfops.settings import Settings


@dataclass
class Place:
    """A forge with the bot's app on it, and the settings that name them."""

    app: App
    settings: Settings
    playground: Playground

    def wrong(self, **other: object) -> list[Finding]:
        return [one for one in examine(self.settings.model_copy(update=other)) if one.problem]

    def grave(self, what: str, **other: object) -> list[Finding]:
        return [one for one in self.wrong(**other) if one.what == what and one.is_grave]


@pytest.fixture
def place(tmp_path):
    playground = Playground(tmp_path / "forge", clock=lambda: datetime.fromtimestamp(time(), UTC))
    playground.add_user("ada")
    with running(playground) as url:
        playground.create_repository("ada", "churn")
        app, key = playground.register_app("kfops")
        app.permissions, app.events = permissions(), list(EVENTS)
        (tmp_path / "app.pem").write_text(key)
        (tmp_path / "policy.yaml").write_text("version: 1\n")
        settings = Settings(
            data_dir=tmp_path / "bot",
            forge_url=f"{url}/api/v3",
            app_id=app.id,
            app_key_file=tmp_path / "app.pem",
            webhook_secrets=[SecretStr("secret")],
            policy_file=tmp_path / "policy.yaml",
            sandbox="none" if isinstance(probe(), str) else "bubblewrap",
        )
        yield Place(app, settings, playground)


def test_a_bot_that_is_set_up_well_has_nothing_grave(place):
    assert [one for one in place.wrong() if one.is_grave] == []


@pytest.mark.parametrize("name", sorted(permissions()))
def test_r17_a_permission_that_the_app_lacks_is_named(place, name):
    del place.app.permissions[name]

    (found,) = place.grave("forge")
    assert f"{name}: {permissions()[name]}" in found.problem
    assert "grant it" in found.fix


def test_r17_a_permission_that_is_never_used_is_noted(place):
    place.app.permissions["administration"] = "write"

    (found,) = [one for one in place.wrong() if one.what == "forge"]
    assert "administration: write, which the bot never uses" in found.problem
    assert not found.is_grave


def test_events_that_the_app_does_not_hear_of_are_named(place):
    place.app.events.remove("issue_comment")

    (found,) = place.grave("forge")
    assert "issue_comment" in found.problem


def test_an_app_that_is_installed_nowhere_is_sent_there(place):
    place.playground.state.installations.clear()

    (found,) = place.grave("forge")
    assert found.fix.endswith("/installations/new")


def test_a_key_that_is_none_is_named_without_being_shown(place, tmp_path):
    key = tmp_path / "app.pem"
    key.write_text("not a key")

    (found,) = place.grave("forge")
    assert "private key cannot be read" in found.problem
    assert "not a key" not in found.problem


def test_a_forge_that_is_away_is_said_to_be(place):
    (found,) = place.grave("forge", forge_url="http://127.0.0.1:9/api/v3")

    assert "reached from here" in found.fix


def test_a_plain_token_works_and_is_noted(place):
    token = SecretStr(place.playground.user("ada").token)

    (found,) = [
        one for one in place.wrong(app_id=None, app_key_file=None, forge_token=token) if one.what == "forge"
    ]
    assert not found.is_grave
    assert "kfops setup github" in found.fix


def test_without_credentials_both_ways_to_give_them_are_said(place):
    (found,) = place.grave("forge", app_id=None)

    assert "KFOPS_APP_ID" in found.problem
    assert "KFOPS_FORGE_TOKEN" in found.problem


def test_no_webhook_secret_is_grave_and_no_policy_is_not(place):
    (secret,) = place.grave("settings", webhook_secrets=[])
    (policy,) = [one for one in place.wrong(policy_file=None) if one.what == "settings"]

    assert "KFOPS_WEBHOOK_SECRETS" in secret.fix
    assert not policy.is_grave


def test_a_policy_that_cannot_be_read_is_named_with_its_line(place, tmp_path):
    (tmp_path / "policy.yaml").write_text("version: 1\nrepositorys: {}\n")

    (found,) = place.grave("settings")
    assert "policy.yaml:2" in found.problem


def test_a_trail_that_was_altered_is_grave(place):
    from kfops.bootstrap import keeping
    from kfops.ports.ledger import Arrival

    now = datetime(2026, 11, 21, tzinfo=UTC)
    book = keeping.ledger(place.settings)
    book.accept([Arrival("d", "ping", "x", now, 7, "ada/churn", "main")])
    book.append(7, 1, now, "ada", "deploy", {"reason": "because"})
    with book.database.write() as connection:
        connection.exec_driver_sql(
            "DROP TRIGGER IF EXISTS audit_no_update"
        )  # as somebody with the file could
        connection.exec_driver_sql("UPDATE audit SET actor = 'mallory'")
    book.close()

    (found,) = place.grave("ledger")
    assert found.problem.startswith("the audit trail is broken: ada/churn")


def test_a_database_that_is_away_is_grave(place):
    (found,) = place.grave(
        "ledger", database_url="postgresql+psycopg://nobody@127.0.0.1:9/kfops?connect_timeout=2"
    )

    assert found.problem


def test_a_storage_that_is_away_is_grave(place, monkeypatch):
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "key")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "secret")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    away = {"storage": "s3", "s3_address": "s3://models/", "s3_endpoint": "http://127.0.0.1:9"}

    assert place.grave("storage", **away)
    (named,) = place.grave("storage", storage="s3", s3_address="models")
    assert "KFOPS_S3_ADDRESS" in named.problem


def test_kubeflow_without_its_address_is_grave(place):
    (found,) = place.grave("pipelines", pipelines="kubeflow")

    assert "KFOPS_KUBEFLOW_URL" in found.problem


def test_the_command_says_it_in_lines_and_in_json(place, capsys):
    from kfops.cli import examining
    from kfops.cli.exits import Exit, Stop

    assert all(line.startswith(("ok", "note", "   ")) for line in examining.told(examine(place.settings))[1])
    with pytest.raises(Stop) as stop:
        examining.told(examine(place.settings.model_copy(update={"webhook_secrets": []})))
    assert stop.value.code is Exit.ENGINE
    assert any(line.startswith("wrong settings") for line in stop.value.lines)
    assert json.dumps(stop.value.detail)
    assert Path(place.settings.data_dir).is_dir()
