"""Python environments from a repository's requirements: made by pip in the sandbox, from the operator's index only."""

from __future__ import annotations

import os
import subprocess
import sys
import tarfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from tests.support.servers.package_index import index_here, wheel

from kfops.adapters.local.environments.adapter import LocalEnvironments
from kfops.adapters.local.environments.index_source import OperatorsIndex
from kfops.adapters.local.environments.installing import Bounds
from kfops.adapters.local.environments.operators_pip import operators_index
from kfops.adapters.local.sandbox import NoSandbox, probe
from kfops.ports.environments import EnvironmentOrder, Making, NotMade, Ready
from kfops.ports.errors import Refused

DIGEST = "d" * 64


@pytest.fixture(scope="module")
def sandbox():
    found = probe()
    if isinstance(found, str):
        pytest.skip(found)
    return found


@pytest.fixture
def index(tmp_path):
    with index_here() as here:
        here.add(
            wheel(tmp_path / "w", "acme_tool", "1.0", "VERSION = '1.0'\n", needs=("acme_base>=2",)),
            "acme-tool",
        )
        here.add(wheel(tmp_path / "w", "acme_base", "2.1", "NAME = 'base'\n"), "acme-base")
        yield here


def environments(tmp_path, sandbox, *addresses, flat=(), is_allowed=True, **more):
    source = OperatorsIndex(tuple(addresses), tuple(map(str, flat)))
    return LocalEnvironments(
        tmp_path / "environments", sandbox, is_allowed=is_allowed, index=lambda: source, **more
    )


def made(environments, order, within_s=60):
    deadline = time.monotonic() + within_s
    while time.monotonic() < deadline:
        answer = environments.make(order)
        if not isinstance(answer, Making):
            return answer
        time.sleep(0.05)
    raise AssertionError("still being made")


def order(text, **more):
    return EnvironmentOrder(text, "requirements.txt", **more)


def imported(folder, module, what):
    code = f"import sys; sys.path.insert(0, {str(folder)!r}); import {module}; print({module}.{what})"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_wheels_of_the_operators_index_are_installed_with_what_they_need(tmp_path, sandbox, index):
    here = environments(tmp_path, sandbox, index.address)
    ready = made(here, order("acme-tool==1.0\n"))
    assert isinstance(ready, Ready), ready
    folder = here.packages(ready.key)
    assert imported(folder, "acme_tool", "VERSION") == "1.0"
    assert imported(folder, "acme_base", "NAME") == "base"
    assert {path.stat().st_uid for path in folder.rglob("*")} == {os.geteuid()}
    assert not [path for path in folder.parent.parent.iterdir() if path.name.startswith(".incoming")]

    asked = len(index.asked)
    assert made(here, order("# the same, said otherwise\nacme-tool == 1.0")) == ready
    assert made(environments(tmp_path, sandbox, index.address), order("acme-tool==1.0")) == ready
    assert len(index.asked) == asked
    assert {method for method, *_ in index.asked} == {"GET"}


def test_r11_credentials_of_the_index_stay_outside(tmp_path, sandbox):
    with index_here(user="ops:hunter2") as index:
        index.add(wheel(tmp_path / "w", "acme_tool", "1.0", ""), "acme-tool")
        here = environments(tmp_path, sandbox, index.address)
        assert isinstance(made(here, order("acme-tool")), Ready)
        failed = made(here, order("acme-other"))
    assert isinstance(failed, NotMade)
    assert "acme-other" in failed.summary
    assert "hunter2" not in str(failed)
    assert all(said for *_, said in index.asked)


def test_a_folder_of_wheels_is_an_index_too(tmp_path, sandbox):
    wheel(tmp_path / "wheels", "acme_tool", "1.0", "VERSION = '1.0'\n")
    here = environments(tmp_path, sandbox, flat=[(tmp_path / "wheels").as_uri()])
    ready = made(here, order("acme-tool"))
    assert isinstance(ready, Ready), ready
    assert imported(here.packages(ready.key), "acme_tool", "VERSION") == "1.0"


def test_without_a_sandbox_it_goes_the_same_way(tmp_path, index):
    here = environments(tmp_path, NoSandbox(), index.address)
    ready = made(here, order("acme-base"))
    assert isinstance(ready, Ready), ready
    assert imported(here.packages(ready.key), "acme_base", "NAME") == "base"


def test_r11_a_source_distribution_is_not_installed_and_its_code_does_not_run(tmp_path, sandbox):
    (tmp_path / "setup.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w').write('x')\n")
    with tarfile.open(tmp_path / "acme_source-1.0.tar.gz", "w:gz") as archive:
        archive.add(tmp_path / "setup.py", "acme_source-1.0/setup.py")
    with index_here() as index:
        index.add(tmp_path / "acme_source-1.0.tar.gz", "acme-source")
        failed = made(environments(tmp_path, sandbox, index.address), order("acme-source"))
    assert isinstance(failed, NotMade)
    assert "source distributions only" in failed.summary
    assert not (tmp_path / "ran").exists()
    assert not any(path.startswith("/files/") for _, path, _ in index.asked)


@pytest.mark.parametrize(
    "line", ["--index-url http://127.0.0.1:9/", "evil @ http://127.0.0.1:9/e.whl", "-e ."]
)
def test_r11_lines_that_are_no_plain_requirement_are_refused_before_anything_runs(
    tmp_path, sandbox, index, line
):
    refused = environments(tmp_path, sandbox, index.address).make(order(f"acme-base\n{line}\n"))
    assert isinstance(refused, NotMade)
    assert "1 line" in refused.summary
    assert refused.problems[0].startswith("requirements.txt, line 2: ")
    assert index.asked == []


def test_r11_nothing_is_installed_unless_the_operator_allows_it(tmp_path, sandbox, index):
    closed = environments(tmp_path, sandbox, index.address, is_allowed=False)
    refused = closed.make(order("acme-tool"))
    assert not refused.is_allowed
    assert "acme-tool (it is not installed)" in refused.summary
    assert "KFOPS_INSTALL=true" in refused.fix
    # What Kfops brings is there, so nothing has to be installed.
    assert closed.make(order("packaging>=20\n")) == Ready()
    granted = environments(tmp_path, sandbox, index.address)
    refused = granted.make(order("acme-tool", is_granted=False))
    assert not refused.is_allowed
    assert "for this repository" in refused.summary
    assert index.asked == []


def test_what_steps_install_counts_into_the_environment(tmp_path, sandbox, index):
    here = environments(tmp_path, sandbox, index.address)
    assert here.make(EnvironmentOrder(more=("packaging>=20",))) == Ready()
    ready = made(here, EnvironmentOrder(more=("acme-base>=2",)))
    assert imported(here.packages(ready.key), "acme_base", "NAME") == "base"
    refused = here.make(EnvironmentOrder(more=("evil @ http://127.0.0.1:9/e.whl",)))
    assert refused.problems[0].startswith("packages_to_install, ")


def test_an_index_that_does_not_answer_is_told(tmp_path, sandbox):
    with index_here() as index:
        gone = index.address
    failed = made(environments(tmp_path, sandbox, gone), order("acme-tool"))
    assert "the package index does not answer" in failed.summary


def test_an_environment_larger_than_allowed_is_not_made(tmp_path, sandbox):
    big = {f"big{number}.txt": "x" * (1 << 20) for number in range(8)}
    with index_here() as index:
        index.add(wheel(tmp_path / "w", "acme_big", "1.0", "", more=big), "acme-big")
        small = Bounds(timeout_s=60, disk_bytes=4 << 20)
        failed = made(environments(tmp_path, sandbox, index.address, bounds=small), order("acme-big"))
        assert isinstance(failed, NotMade)
        few = Bounds(timeout_s=60, fetched_bytes=1 << 20)
        fetched = made(environments(tmp_path, sandbox, index.address, bounds=few), order("acme-big"))
    assert "more than" in fetched.summary
    assert not list((tmp_path / "environments").glob("[0-9a-f]*"))


def test_one_environment_is_made_once_however_many_ask(tmp_path, sandbox, index):
    """Several replicas with one folder, several operations of each."""
    bots = [environments(tmp_path, sandbox, index.address) for _ in range(3)]
    with ThreadPoolExecutor(6) as pool:
        answers = set(pool.map(lambda bot: made(bot, order("acme-tool==1.0")), bots * 2))
    assert len(answers) == 1
    assert isinstance(answers.pop(), Ready)
    assert [path for _, path, _ in index.asked].count("/simple/acme-tool/") == 1


def test_a_wheel_that_wants_out_of_its_folder_is_not_installed(tmp_path, sandbox):
    with index_here() as index:
        evil = wheel(tmp_path / "w", "acme_evil", "1.0", "", more={"../../../escaped.py": "x = 1\n"})
        index.add(evil, "acme-evil")
        failed = made(environments(tmp_path, sandbox, index.address), order("acme-evil"))
    assert isinstance(failed, NotMade)
    assert not list(tmp_path.rglob("escaped.py"))


def test_a_model_keeps_the_environment_that_it_was_trained_in(tmp_path, sandbox, index):
    here = environments(tmp_path, sandbox, index.address)
    ready = made(here, order("acme-base"))
    assert here.packages_of(DIGEST) is None
    here.bind(DIGEST, ready.key)
    assert here.packages_of(DIGEST) == here.packages(ready.key)
    here.bind(DIGEST, "")
    assert here.packages_of(DIGEST) is None
    assert here.packages("") is None
    with pytest.raises(Refused, match="not on this server"):
        here.packages("0" * 64)
    for name in ("../x", "", "A" * 64):
        with pytest.raises(Refused):
            here.bind(name, ready.key)


def test_the_operators_pip_says_where_packages_come_from(tmp_path, monkeypatch):
    for name in [name for name in os.environ if name.startswith("PIP_")]:
        monkeypatch.delenv(name)
    configuration = tmp_path / "pip.conf"
    configuration.write_text(
        "[global]\nindex-url = http://127.0.0.1:9/simple\nextra-index-url = http://127.0.0.1:9/more\n"
        f"find-links = {tmp_path}\n"
    )
    monkeypatch.setenv("PIP_CONFIG_FILE", str(configuration))
    monkeypatch.setenv("HOME", str(tmp_path))
    said = operators_index()
    assert "http://127.0.0.1:9/simple" in said.indexes
    assert Path(said.flat[-1].removeprefix("file://")) == tmp_path
    assert operators_index("http://127.0.0.1:9/own").indexes == ("http://127.0.0.1:9/own",)
    assert "127.0.0.1" not in repr(said)
