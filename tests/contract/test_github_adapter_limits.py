"""When GitHub does not answer, limits the rate, or has renamed something: what the adapter does and how often it asks."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from tests.support import github_forge
from tests.support.github_forge import Stage

from kfops.adapters.github.forge import GitHubForge
from kfops.ports.errors import Refused, Unavailable

PULL = "GET /repos/{owner}/{repo}/pulls/{pull_number}"


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    with github_forge.stage(tmp_path_factory.mktemp("limits")) as made:
        made.pull("churn")
        yield made


@pytest.fixture
def stage(whole: Stage) -> Stage:
    whole.ahead = timedelta(0)
    whole.slept.clear()
    whole.proxy.faults.clear()
    return whole


@pytest.fixture
def number_of(stage: Stage) -> int:
    return stage.world.playground.repository("ada/churn").id


@pytest.fixture
def forge(stage: Stage, number_of: int) -> GitHubForge:
    made = stage.with_token()
    made.remember(number_of, "ada/churn")
    return made


@pytest.mark.parametrize("status", [502, 503, 504, 0])
def test_reads_are_tried_again(stage: Stage, forge: GitHubForge, number_of: int, status: int) -> None:
    stage.proxy.fail("GET", "/pulls/1$", status, times=2)
    assert forge.pull_request(number_of, 1).number == 1
    assert forge.calls[PULL] == 3
    assert stage.slept == [0.5, 2.0]


def test_reads_are_tried_three_times(stage: Stage, forge: GitHubForge, number_of: int) -> None:
    stage.proxy.fail("GET", "/pulls/1$", 502, times=9)
    with pytest.raises(Unavailable, match="502"):
        forge.pull_request(number_of, 1)
    assert forge.calls[PULL] == 3


@pytest.mark.parametrize("status", [500, 502, 0])
def test_writes_are_never_tried_again(stage: Stage, forge: GitHubForge, number_of: int, status: int) -> None:
    """The first try may have gone through; only who asked can find out."""
    stage.proxy.fail("POST", "/comments$", status)
    with pytest.raises(Unavailable):
        forge.create_comment(number_of, 1, "once")
    assert forge.calls["POST /repos/{owner}/{repo}/issues/{issue_number}/comments"] == 1
    assert stage.slept == []


def test_an_answer_that_is_no_json(stage: Stage, forge: GitHubForge, number_of: int) -> None:
    stage.proxy.fail("GET", "/pulls/1$", 200, headers={"content-type": "text/html"}, times=9)
    with pytest.raises(Unavailable, match="text/html, not JSON"):
        forge.pull_request(number_of, 1)


def test_the_primary_limit_is_waited_for(stage: Stage, forge: GitHubForge, number_of: int) -> None:
    reset = int((stage.now() + timedelta(minutes=10)).timestamp())
    headers = {"x-ratelimit-remaining": "0", "x-ratelimit-reset": str(reset)}
    stage.proxy.fail("GET", "/pulls/1$", 403, headers=headers, message="API rate limit exceeded")
    with pytest.raises(Unavailable) as limited:
        forge.pull_request(number_of, 1)
    assert limited.value.retry_after_s == pytest.approx(600, abs=3)
    asked = len(stage.proxy.asked)
    with pytest.raises(Unavailable, match="was not asked") as kept_back:
        forge.create_comment(number_of, 1, "x")
    assert kept_back.value.retry_after_s == pytest.approx(600, abs=3)
    assert len(stage.proxy.asked) == asked
    stage.ahead += timedelta(minutes=11)
    assert forge.pull_request(number_of, 1).number == 1
    assert stage.slept == []


@pytest.mark.parametrize(
    ("status", "headers", "message", "wait"),
    [
        (429, {"retry-after": "17"}, "slow down", 17),
        (403, {"retry-after": "30"}, "You have exceeded a secondary rate limit", 30),
        (403, {}, "You have exceeded a secondary rate limit.", 60),
        (429, {}, "", 60),
        (403, {"retry-after": "soon"}, "secondary rate limit", 60),
    ],
)
def test_secondary_limits(
    stage: Stage,
    forge: GitHubForge,
    number_of: int,
    status: int,
    headers: dict[str, str],
    message: str,
    wait: float,
) -> None:
    stage.proxy.fail("POST", "/comments$", status, headers=headers, message=message)
    with pytest.raises(Unavailable) as limited:
        forge.create_comment(number_of, 1, "x")
    assert limited.value.retry_after_s == wait


def test_one_installations_limit_is_not_anothers(stage: Stage, number_of: int) -> None:
    forge = stage.forge()
    forge.repository(number_of)
    stage.world.playground.add_user("zoe") if stage.world.playground.state.user("zoe") is None else None
    other = stage.world.playground.create_repository("zoe", "other").id
    forge.repository(other)
    stage.proxy.fail("GET", "/ada/churn/pulls/1$", 429, headers={"retry-after": "99"})
    with pytest.raises(Unavailable):
        forge.pull_request(number_of, 1)
    with pytest.raises(Unavailable):
        forge.reviews(number_of, 1)
    assert forge.repository(other).full_name == "zoe/other"


def test_a_refusal_is_not_a_limit(stage: Stage, forge: GitHubForge, number_of: int) -> None:
    stage.proxy.fail("GET", "/pulls/1$", 403, message="Resource not accessible by personal access token")
    with pytest.raises(Refused, match="not accessible") as refused:
        forge.pull_request(number_of, 1)
    assert "permission" in refused.value.fix
    stage.proxy.fail("GET", "/pulls/1$", 401, message="Bad credentials")
    with pytest.raises(Refused, match="Bad credentials") as refused:
        forge.pull_request(number_of, 1)
    assert "token" in refused.value.fix


def test_what_has_not_changed_is_not_sent_again(stage: Stage, forge: GitHubForge, number_of: int) -> None:
    first = forge.pull_request(number_of, 1)
    assert forge.pull_request(number_of, 1) == first
    asked = [one for one in stage.proxy.asked if one.path.endswith("/pulls/1")][-2:]
    assert "if-none-match" not in asked[0].headers
    assert asked[1].headers["if-none-match"].startswith('"')
    forge.set_labels(number_of, 1, add=["seen"])
    assert "seen" in forge.pull_request(number_of, 1).labels


def test_a_renamed_repository_is_found_by_its_number(stage: Stage) -> None:
    number_of, _, head = stage.pull("old-name")
    for forge in (stage.forge(), stage.with_token()):
        forge.remember(number_of, "ada/former-name")
        installation = next(iter(stage.world.playground.state.installations))
        forge.remember(number_of, "ada/former-name", installation)
        moved = {"location": f"{stage.proxy.api}/repositories/{number_of}/contents/README.md"}
        stage.proxy.fail("GET", "/ada/former-name/", 301, headers=moved)
        found = forge.file(number_of, "README.md", head)
        assert found == b"one\ntwo\nthree\nfour\n"  # by `ref`, which a followed redirect would have lost
        assert forge.repository(number_of).full_name == "ada/old-name"


def test_a_name_that_another_repository_took_is_noticed(stage: Stage) -> None:
    number_of, _, _ = stage.pull("mine")
    stage.pull("taken")
    forge = stage.with_token()
    forge.remember(number_of, "ada/taken")
    with pytest.raises(Unavailable, match="now belongs to another"):
        forge.pull_request(number_of, 1)
    assert forge.pull_request(number_of, 1).number == 1
    forge.remember(number_of, "ada/taken")
    assert forge.repository(number_of).full_name == "ada/mine"


def test_lists_that_are_not_whole_prove_nothing(stage: Stage) -> None:
    number_of, _, head = stage.pull("partial")
    stage.world.playground.require_checks("ada/partial", ["tests"])
    forge = stage.forge()
    forge.repository(number_of)
    stage.proxy.fail("GET", "/check-runs$", 502, times=9)
    with pytest.raises(Unavailable):
        forge.required_checks(number_of, "main", head)


def test_threads_do_not_mix_up_their_requests(stage: Stage, forge: GitHubForge) -> None:
    """PyGithub keeps a request in its connection between sending and receiving."""
    numbers = {stage.world.playground.repository(f"ada/{name}").id: f"ada/{name}" for name in ("churn",)}
    for name in ("thread-a", "thread-b", "thread-c"):
        numbers[stage.world.repository(name).id] = f"ada/{name}"
    for number_of, full_name in numbers.items():
        forge.remember(number_of, full_name)
    wanted = list(numbers) * 15
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda number_of: forge.repository(number_of).full_name, wanted))
    assert found == [numbers[number_of] for number_of in wanted]


def test_nobody_there(stage: Stage) -> None:
    from tests.support.playground import now

    from kfops.adapters.github.auth import TokenCredentials

    with GitHubForgeAt("http://127.0.0.1:9", stage, TokenCredentials("t"), now) as forge:
        forge.remember(1, "a/b")
        with pytest.raises(Unavailable, match="did not answer"):
            forge.repository(1)


class GitHubForgeAt:
    """A forge at another address, closed afterwards."""

    def __init__(self, url: str, stage: Stage, credentials: object, now: object) -> None:
        self.forge = GitHubForge(credentials, now=now, base_url=url, sleep=stage.slept.append, timeout_s=2)

    def __enter__(self) -> GitHubForge:
        return self.forge

    def __exit__(self, *_: object) -> None:
        self.forge.close()
