"""R17: tokens for one repository and one purpose, an hour at most, in headers only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import timedelta

import jwt
import pytest
from tests.support import github_forge
from tests.support.github_forge import Stage

from kfops.adapters.github.auth import AppCredentials, Purpose, TokenCredentials
from kfops.ports.errors import Refused

TOKENS = "POST /app/installations/{installation_id}/access_tokens"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with github_forge.stage(tmp_path_factory.mktemp("auth")) as made:
        made.pull("churn")
        yield made


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.ahead = timedelta(0)
    whole.proxy.asked.clear()
    whole.proxy.faults.clear()
    return whole


@pytest.fixture
def number_of(stage: Stage) -> int:
    return stage.world.playground.repository("ada/churn").id


def test_r17_a_token_is_for_one_repository_and_purpose(stage: Stage, number_of: int) -> None:
    forge = stage.forge()
    forge.pull_request(number_of, 1)
    forge.create_comment(number_of, 1, "x")
    made = [one.json for one in stage.proxy.asked if one.path.endswith("/access_tokens")]
    scoped = [one for one in made if "repository_ids" in one]
    assert [one["repository_ids"] for one in scoped] == [[number_of]] * 2
    reading, telling = (one["permissions"] for one in scoped)
    assert set(reading.values()) == {"read"}
    assert telling == dict(Purpose.TELL.permissions)
    for purpose in Purpose:
        assert not {"workflows", "administration", "secrets", "actions"} & set(purpose.permissions)
    writers = {purpose for purpose in Purpose if purpose.permissions.get("contents") == "write"}
    assert writers == {Purpose.MERGE}


def test_r17_a_token_is_kept_until_five_minutes_before_it_ends(stage: Stage, number_of: int) -> None:
    forge = stage.forge()
    installation = next(iter(stage.world.playground.state.installations))
    forge.remember(number_of, "ada/churn", installation)
    forge.pull_request(number_of, 1)
    stage.ahead += timedelta(minutes=54)
    forge.pull_request(number_of, 1)
    assert forge.calls[TOKENS] == 1
    stage.ahead += timedelta(minutes=2)
    stage.world.playground.clock = stage.now  # the app's signature is dated by the same clock
    forge.pull_request(number_of, 1)
    assert forge.calls[TOKENS] == 2


def test_a_token_that_was_taken_back_is_asked_for_anew(stage: Stage, number_of: int) -> None:
    forge = stage.forge()
    forge.pull_request(number_of, 1)
    stage.world.playground.state.installation_tokens.clear()
    assert forge.pull_request(number_of, 1).number == 1


def test_the_installation_is_found_by_name_or_by_number(stage: Stage, number_of: int) -> None:
    named = stage.forge()
    named.remember(number_of, "ada/churn")
    assert named.pull_request(number_of, 1).number == 1
    assert named.calls["GET /repos/{owner}/{repo}/installation"] == 1
    assert "GET /app/installations" not in named.calls
    numbered = stage.forge()
    assert numbered.pull_request(number_of, 1).number == 1
    assert numbered.calls["GET /installation/repositories"] >= 1


def test_r17_credentials_are_in_headers_only(stage: Stage, number_of: int) -> None:
    forge = stage.forge()
    forge.create_comment(number_of, 1, "x")
    tokens = set(stage.world.playground.state.installation_tokens)
    assert tokens
    for asked in stage.proxy.asked:
        shown = f"{asked.path} {dict(asked.query)} {asked.body!r}"
        assert not any(token in shown for token in tokens)
        assert re.match("Bearer |Basic ", asked.headers["authorization"])


def test_the_apps_signature_lasts_ten_minutes_at_most(stage: Stage, number_of: int) -> None:
    stage.forge().repository(number_of)
    asked = next(one for one in stage.proxy.asked if one.path.startswith("/app/"))
    claims = jwt.decode(
        asked.headers["authorization"].removeprefix("Bearer "), options={"verify_signature": False}
    )
    assert claims["exp"] - claims["iat"] <= 600
    assert claims["iss"] == str(stage.world.app_id)


def test_what_is_wrong_with_credentials_is_said(stage: Stage, number_of: int) -> None:
    unreadable = stage.forge(AppCredentials(stage.world.app_id, "not a key"))
    with pytest.raises(Refused, match="private key") as refused:
        unreadable.repository(number_of)
    assert "PEM" in str(refused.value)
    assert "BEGIN" in refused.value.fix
    unknown = stage.forge(AppCredentials(424_242, stage.world.app_key))
    with pytest.raises(Refused, match="401"):
        unknown.repository(number_of)
    wrong = stage.forge(TokenCredentials("ghp_wrong"))
    with pytest.raises(Refused, match="401"):
        wrong.repository(number_of)


def test_permissions_that_the_app_lacks_are_named(stage: Stage, number_of: int) -> None:
    app = next(iter(stage.world.playground.state.apps.values()))
    kept = app.permissions.pop("checks")
    try:
        with pytest.raises(Refused, match="not granted") as refused:
            stage.forge().create_comment(number_of, 1, "x")
        assert "checks: write" in refused.value.fix or "checks: read" in refused.value.fix
    finally:
        app.permissions["checks"] = kept


def test_secrets_are_not_in_what_is_printed(stage: Stage) -> None:
    key = stage.world.app_key
    assert key[40:60] not in repr(AppCredentials(1, key))
    assert "ghp_abc" not in repr(TokenCredentials("ghp_abc"))
