"""The developers' and the operators' commands, as processes, as people and scripts use them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import pytest
from tests.support.tampering import tamper

from kfops.adapters.local.sandbox import probe
from kfops.adapters.sql.ledger import SqlLedger
from kfops.ports.ledger import Arrival

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)
KFC = [sys.executable, "-c", "from kfops.__main__ import kfc; kfc()"]
KFOPS = [sys.executable, "-m", "kfops"]
ROOT = Path(__file__).parents[2]
ENVIRONMENT = {
    **{name: value for name, value in os.environ.items() if not name.startswith("KFOPS_")},
    "PYTHONPATH": str(ROOT / "bot"),
    "COLUMNS": "200",
    **({"KFOPS_SANDBOX": "none"} if isinstance(probe(), str) else {}),
}
PIPELINE = """\
from kfp import dsl


@dsl.component(base_image="python:3.11-slim", install_kfp_package=False)
def train(rows: int, metrics: dsl.Output[dsl.Metrics], pause: float = 0.0):
    import json, time
    print("training on", rows, flush=True)
    time.sleep(pause)
    if rows == 13:
        raise ValueError("unlucky rows")
    json.dump({"roc_auc": 0.5 + rows / 1000}, open(metrics.path, "w"))


@dsl.pipeline(name="small")
def small(rows: int = 400, pause: float = 0.0):
    train(rows=rows, pause=pause)
"""
CONFIG = """\
version: 1
pipeline:
  source: pipeline.py
  parameters: {rows: 350}
model: small
overridable: [rows]
evidence:
  primary: roc_auc
  gates: ["roc_auc >= 0.80", "roc_auc >= champion - 0.005"]
"""


def kfc(*words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*KFC, *words], cwd=cwd, env=ENVIRONMENT, capture_output=True, text=True, check=False, timeout=180
    )


def answer(*words: str, cwd: Path, code: int = 0) -> dict:
    done = kfc(*words, "--json", cwd=cwd)
    assert done.returncode == code, done.stdout + done.stderr
    content = json.loads(done.stdout)
    assert (content["ok"], content["exit_code"]) == (code == 0, code)
    return content


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "small"
    folder.mkdir()
    (folder / "pipeline.py").write_text(PIPELINE)
    (folder / "kfops.yaml").write_text(CONFIG)
    return folder


def test_help_imports_nothing_heavy():
    code = "import sys; from kfops.__main__ import kfc\ntry: kfc()\nexcept SystemExit: print(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", code, "--help"], env=ENVIRONMENT, capture_output=True, text=True, check=True
    )
    heavy = {
        "kfp",
        "mlflow",
        "pandas",
        "scipy",
        "sqlalchemy",
        "pydantic",
        "fastapi",
        "yaml",
        "kubernetes",
        "rich",
    }

    assert "build-run" in done.stdout
    assert "Exit codes" in done.stdout
    assert heavy & set(done.stdout.split()) == set()


def test_init_makes_a_repository_whose_configuration_is_right_and_overwrites_nothing(tmp_path):
    files = answer("init", "mine", cwd=tmp_path)["files"]
    assert {"kfops.yaml", "pipeline.py", "data/churn.csv", ".gitignore"} <= set(files)
    assert answer("check", "--no-compile", cwd=tmp_path / "mine")["ok"]

    (tmp_path / "mine" / "kfops.yaml").write_text("mine")
    again = kfc("init", "mine", cwd=tmp_path)
    assert again.returncode == 2
    assert "not empty" in again.stderr
    assert (tmp_path / "mine" / "kfops.yaml").read_text() == "mine"


def test_check_names_the_place_of_what_is_wrong(repository):
    (repository / "kfops.yaml").write_text(CONFIG.replace("source:", "sorce:"))
    done = kfc("check", cwd=repository)

    assert done.returncode == 3
    assert "kfops.yaml:3:3" in done.stderr
    assert "Did you mean source?" in done.stderr


def test_what_does_not_compile_is_told_with_its_line(repository):
    (repository / "pipeline.py").write_text(PIPELINE + "\nraise KeyError('no such thing')\n")
    found = answer("build", cwd=repository, code=4)

    assert (found["path"], found["line"]) == ("pipeline.py", PIPELINE.count("\n") + 2)


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (["--set", "rows=many"], 3, "a whole number"),
        (["--set", "rwos=3"], 3, "rows"),
        (["--set", "rows"], 2, "NAME=VALUE"),
        (["--config-override", "none.yaml"], 2, "none.yaml"),
    ],
)
def test_a_wrong_value_is_refused_before_anything_runs(repository, words, code, sentence):
    done = kfc("build-run", *words, cwd=repository)

    assert done.returncode == code
    assert sentence in done.stderr
    assert not (repository / ".kfops" / "pipelines").exists()


def test_a_dry_run_shows_everything_and_executes_nothing(repository):
    (repository / "mine.yaml").write_text("pipeline: {timeout: 5m}\nimages: {build: [{name: trainer}]}\n")
    found = answer(
        *("build-run", "--dry-run", "--config-override", "mine.yaml", "--set", "rows=401"), cwd=repository
    )

    assert found["configuration"]["pipeline"]["timeout"] == "5m"
    assert [step["name"] for step in found["package"]["steps"]] == ["train"]
    assert found["images"] == [{"image": "trainer", "context": ".", "dockerfile": "Dockerfile"}]
    assert found["parameters"][1] == {"name": "rows", "type": "int", "value": 401, "from": "--set"}
    assert found["requests"][0]["parameters"] == {"rows": 401}
    assert found["requests"][0]["timeout_seconds"] == 300
    assert not (repository / ".kfops" / "pipelines").exists()
    assert not (repository / ".kfops" / "last-package.json").exists()


def test_build_then_run_takes_the_package_that_was_built(repository):
    built = answer("build", cwd=repository)["package"]["digest"]
    (repository / "pipeline.py").write_text(PIPELINE.replace("0.5 +", "0.6 +"))
    found = answer("run", "--package", built[:12], cwd=repository)

    assert found["package"]["digest"] == built
    assert found["state"] == "SUCCEEDED"
    assert found["metrics"] == {"roc_auc": 0.85}
    assert [gate["passed"] for gate in found["gates"]] == [True, None]


def test_a_gate_that_does_not_hold_is_an_exit_code(repository):
    found = answer("build_run", "--set", "rows=100", cwd=repository, code=1)

    assert (found["state"], found["gates"][0]["passed"]) == ("SUCCEEDED", False)


def test_a_run_that_fails_says_where_and_why(repository):
    done = kfc("build-run", "--set", "rows=13", cwd=repository)

    assert done.returncode == 1
    assert "train: failed" in done.stderr
    assert "unlucky rows" in done.stderr


def _at_a_terminal() -> None:
    """A job that was started in the background ignores Ctrl+C, and so would all that it starts."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def test_ctrl_c_cancels_the_run(repository):
    running = subprocess.Popen(
        [*KFC, "build-run", "--set", "pause=300"],
        cwd=repository,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        preexec_fn=_at_a_terminal,  # noqa: PLW1509 - it sets one signal and takes no lock
    )
    state = repository / ".kfops" / "pipelines"
    until = time.monotonic() + 120
    try:
        while not list(state.glob("kfc-*/supervisor*")) and time.monotonic() < until:
            time.sleep(0.1)
        running.send_signal(signal.SIGINT)
        _, said = running.communicate(timeout=60)
    finally:
        running.kill()
        running.communicate()

    assert running.returncode == 130, said
    assert b"was cancelled" in said


def test_plan_reads_a_line_as_the_bot_would(repository):
    found = answer("plan", "/deploy blue --run 7", cwd=repository)
    assert (found["command"]["kind"], found["command"]["environment"]) == ("deploy", "blue")

    done = kfc("plan", "/deploy --runn 7")
    assert done.returncode == 2
    assert "^^^^^^" in done.stderr
    assert "Did you mean --run?" in done.stderr


def test_deploy_says_where_deploying_is_done(repository):
    done = kfc("deploy", "production", "--force", cwd=repository)

    assert done.returncode == 6
    assert "/deploy" in done.stderr


def test_a_data_set_is_measured_and_stored(repository):
    (repository / "table.csv").write_text("id,churn\n1,yes\n2,no\n3,yes\n")
    found = answer("data", "add", "table.csv", "--target", "churn", cwd=repository)

    assert (found["rows"], [one["name"] for one in found["columns"]]) == (3, ["id", "churn"])
    assert Path(found["uri"]).is_file()
    assert kfc("data", "add", "table.csv", "--target", "chrn", cwd=repository).returncode == 5


def kfops(folder: Path, *words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    environment = {**ENVIRONMENT, "KFOPS_DATA_DIR": str(folder), **settings}
    return subprocess.run(
        [*KFOPS, *words], env=environment, capture_output=True, text=True, check=False, timeout=60
    )


def test_the_audit_trail_is_shown_and_verified_and_a_change_is_found(tmp_path):
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.migrate()
    ledger.accept([Arrival("d", "ping", "0", NOW, 7, "ada/churn", "main")])
    for action in ("asked", "promoted"):
        ledger.append(7, 5, NOW, "ada", action, {"environment": "production"})

    shown = kfops(tmp_path, "audit", "show", "--pr", "5")
    assert shown.stdout.splitlines()[1] == (
        '2026-11-21 09:00:00Z  ada  promoted  {"environment": "production"}'
    )
    assert kfops(tmp_path, "audit", "verify").returncode == 0

    tamper(ledger, "UPDATE audit SET actor = 'eve' WHERE sequence = 1")
    ledger.close()
    broken = kfops(tmp_path, "audit", "verify", "--json")
    assert broken.returncode == 1
    assert json.loads(broken.stdout)["repositories"] == {
        "ada/churn": "entry 1 was changed after it was written"
    }


def test_r15_the_audit_trail_is_shown_without_its_secrets_and_obeyed_by_no_terminal(tmp_path):
    token = "ghp_" + "a1B2" * 9
    ledger = SqlLedger(f"sqlite:///{tmp_path}/ledger.db")
    ledger.migrate()
    ledger.accept([Arrival("d", "ping", "0", NOW, 7, "ada/churn", "main")])
    typed = f"CI is down {token} hunter22-of-the-forge \x1b]0;title\x07\x9b2J\u202e"
    ledger.append(7, 5, NOW, "ada", "deploy", {"command": {"name": "deploy", "reason": typed}})
    ledger.close()

    for words in ((), ("--json",)):
        shown = kfops(
            tmp_path, "audit", "show", "--pr", "5", *words, KFOPS_FORGE_TOKEN="hunter22-of-the-forge"
        )
        assert "CI is down *** ***" in shown.stdout
        for hidden in (token, "hunter22", "title", "2J", "\u202e", "\\u202e"):
            assert hidden not in shown.stdout


def test_an_address_of_no_ledger_is_named(tmp_path):
    wrong = kfops(tmp_path, "audit", "verify", KFOPS_DATABASE_URL="mysql://somewhere/ledger")

    assert wrong.returncode == 5
    assert "KFOPS_DATABASE_URL" in wrong.stderr
    assert "Traceback" not in wrong.stderr


def test_settings_that_do_not_work_are_named(tmp_path):
    without = kfops(tmp_path, "serve")
    assert without.returncode == 5
    assert "KFOPS_WEBHOOK_SECRETS" in without.stderr

    wrong = kfops(tmp_path, "serve", KFOPS_PORT="many")
    assert wrong.returncode == 5
    assert "KFOPS_PORT" in wrong.stderr
