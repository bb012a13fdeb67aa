"""What every place that compiles pipelines keeps: the sandbox of this machine, and Jobs on a cluster.

The cluster's API server is real; what a pod would run is run by the sandbox of this machine.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace

import pytest
from tests.support.cluster import node as nodes
from tests.support.hostile import LOOK_AROUND, surroundings

from kfops.adapters.kubernetes.sandbox.adapter import SandboxJobs
from kfops.adapters.kubernetes.sandbox.job import Place
from kfops.adapters.local.pipelines.compiling import Compiler
from kfops.adapters.local.sandbox import probe
from kfops.adapters.local.short_work import Workroom
from kfops.domain.package import CompileFailure, InputType
from kfops.domain.package_policy import Allowed
from kfops.ports.pipelines import CompileOrder

SECRET = "KFOPS_TEST_TOKEN_7f3a"
IMAGE = "registry.example.com/kfops@sha256:" + "0" * 64
HEAD = """\
from kfp import dsl

def step(**more):
    return dsl.component(base_image="python:3.11-slim", install_kfp_package=False, **more)

"""
TWO_STEPS = (
    HEAD
    + '''
@step(embedded_artifact_path="model")
def first(x: int, code: dsl.EmbeddedInput[dsl.Artifact], model: dsl.Output[dsl.Model]):
    pass

@step()
def second(x: int, model: dsl.Input[dsl.Model]):
    pass

@dsl.pipeline(name="two-steps", description="Two steps")
def two_steps(x: int = 3, words: list = ["a"]):
    """Does things.

    Args:
        x: how many
    """
    second(x=x, model=first(x=x).outputs["model"])
'''
)


@pytest.fixture(
    scope="module", params=["machine", pytest.param("cluster", marks=pytest.mark.xdist_group("cluster"))]
)
def room(request) -> Iterator[Workroom]:
    found = probe()
    if isinstance(found, str):
        pytest.skip(found)
    if request.param == "machine":
        yield found
        return
    server = request.getfixturevalue("api_server")
    with nodes.running(server) as node, closing(server.client()) as client:
        yield SandboxJobs(client, Place(node.namespace, IMAGE, starts_within_s=30), look_every_s=0.05)


@pytest.fixture
def repository(tmp_path):
    folder = tmp_path / "repository"
    (folder / "model").mkdir(parents=True)
    (folder / "data").mkdir()
    (folder / "data" / "table.csv").write_text("a,b\n")
    (folder / "model" / "thing.py").write_text("def look_up(table, key):\n    return table[key]\n")
    (folder / "pipeline.py").write_text(TWO_STEPS)
    return folder


def compiled(room, repository, allowed=None, **more):
    order = CompileOrder(repository, "pipeline.py", repository.parent / "packages")
    return Compiler(room, allowed or Allowed()).compile(replace(order, **more))


def test_a_pipeline_is_compiled_to_the_same_package_every_time(room, repository):
    package = compiled(room, repository)
    assert (package.name, [step.name for step in package.steps]) == ("two-steps", ["first", "second"])
    assert [(one.name, one.type, one.default) for one in package.inputs] == [
        ("words", InputType.LIST, ["a"]),
        ("x", InputType.INT, 3),
    ]
    assert package.inputs[1].description == "how many"
    for path in (repository / "model").iterdir():
        os.utime(path, (1, 1))
    assert compiled(room, repository).digest == package.digest


def test_a_compiled_package_is_taken_as_it_is(room, repository):
    first = compiled(room, repository)
    shutil.copyfile(first.path, repository / "package.yaml")
    again = compiled(room, repository, pipeline="package.yaml")
    assert (again.digest, again.content) == (first.digest, first.content)


@pytest.mark.parametrize(
    ("source", "words", "line"),
    [
        ("from kfp import dsl\n\nx = 1 / 0\n", "ZeroDivisionError: division by zero", 3),
        ("def f(:\n", "SyntaxError", 1),
        ("import no_such_thing\n", "ModuleNotFoundError: No module named 'no_such_thing'", 1),
        ("x = 1\n", "no pipeline in the file", None),
        (
            TWO_STEPS + "\n\n@dsl.pipeline(name='b')\ndef other():\n    first(x=1)\n",
            "several pipelines: two_steps, other",
            None,
        ),
        (HEAD + "@dsl.pipeline(name='b')\ndef other():\n    first(x=1)\n", "NameError: name 'first'", 8),
        ("import sys\nsys.exit('I give up')\n", "I give up", 2),
        ("import os\nos._exit(7)\n", "exit code 7", None),
        ("import os\nos.kill(os.getpid(), 9)\n", "ended the process", None),
        ("raise KeyboardInterrupt\n", "KeyboardInterrupt", 1),
        (TWO_STEPS.replace("second(x=x,", "second(x='text',"), "x", None),
    ],
    ids=[
        *("division", "syntax", "import", "no pipeline", "two pipelines", "unknown name", "exit"),
        *("sudden end", "killed", "interrupt", "wrong type"),
    ],
)
def test_a_broken_pipeline_is_told_with_its_place(room, repository, source, words, line):
    (repository / "pipeline.py").write_text(source)
    failure = compiled(room, repository)
    assert isinstance(failure, CompileFailure)
    assert words in failure.summary
    assert failure.path == "pipeline.py"
    if line is not None:
        assert failure.line == line
        assert failure.code == source.splitlines()[line - 1].strip()


def test_an_error_below_an_import_points_at_the_deepest_line_of_the_repository(room, repository):
    (repository / "steps.py").write_text("def make():\n    raise ValueError('no steps today')\n\nmake()\n")
    (repository / "pipeline.py").write_text("import steps\n")
    failure = compiled(room, repository)
    assert (failure.path, failure.line, failure.summary) == ("steps.py", 2, "ValueError: no steps today")


def test_a_pipeline_file_that_loops_is_ended(room, repository):
    (repository / "pipeline.py").write_text("print('round and round', flush=True)\nwhile True:\n    pass\n")
    failure = compiled(room, repository, timeout_s=1.5)
    assert "did not compile within 1.5 s" in failure.summary
    assert "round and round" in failure.log_tail


def test_a_pipeline_file_finds_no_secret_and_writes_nothing(room, repository, tmp_path, monkeypatch):
    monkeypatch.setenv("GITHUB_TOKEN", SECRET)
    source = f"""
import glob, os
for path in glob.glob('/proc/*/environ'):
    try: print(open(path).read())
    except OSError: pass
print(os.environ)
for path in ('/repo/made', {str(tmp_path / "made")!r}, '/tmp/made'):
    try: open(path, 'w').write('x'); print('wrote', path)
    except OSError as error: print(error)
raise SystemExit('done')
"""
    (repository / "pipeline.py").write_text(source)
    failure = compiled(room, repository)
    assert SECRET not in failure.log_tail + failure.summary
    assert "wrote /tmp/made" in failure.log_tail
    assert "wrote /repo" not in failure.log_tail
    assert not (repository / "made").exists()
    assert not (tmp_path / "made").exists()


def test_an_answer_that_is_made_up_is_read_as_foreign(room, repository):
    forged = "import json, os\n"
    forged += "[os.write(fd, json.dumps({'package': 'a: &x 1'}).encode()) for fd in (3, 4, 5) if os.path.exists(f'/proc/self/fd/{fd}')]\n"
    forged += "os._exit(0)\n"
    (repository / "pipeline.py").write_text(forged)
    failure = compiled(room, repository)
    assert isinstance(failure, CompileFailure)


@pytest.mark.parametrize(
    ("pipeline", "words"),
    [
        ("missing.py", "no file missing.py"),
        ("../pipeline.py", "expected a path in the repository"),
        ("/etc/passwd.py", "expected a path in the repository"),
        ("data/table.csv", "ends in .py or .yaml"),
        ("link.yaml", "not a link"),
        ("bytes.yaml", "not UTF-8"),
        ("aliased.yaml", "anchor"),
    ],
)
def test_other_files_are_refused(room, repository, pipeline, words):
    (repository / "link.yaml").symlink_to("/etc/hostname")
    (repository / "bytes.yaml").write_bytes(b"a: \xff")
    (repository / "aliased.yaml").write_text("a: &x 1\nb: *x\n")
    failure = compiled(room, repository, pipeline=pipeline)
    assert isinstance(failure, CompileFailure)
    assert words in failure.summary


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("import sys\nwhile True:\n    sys.stderr.write('x' * 100_000)\n", "File too large"),
        ("import os, time\nos.fork() or time.sleep(100)\nos.close(2)\nraise SystemExit('done')\n", "done"),
    ],
    ids=["output", "a child that stays"],
)
def test_r11_a_pipeline_file_that_takes_too_much_is_told_with_a_sentence(room, repository, body, words):
    (repository / "pipeline.py").write_text(body)
    failure = compiled(room, repository, timeout_s=20)
    assert isinstance(failure, CompileFailure)
    assert words in failure.summary
    assert len(failure.log_tail) < 10_000


def test_r11_a_pipeline_file_finds_nothing_of_the_bot(room, tmp_path, monkeypatch):
    """Files, servers, sockets: its repository lies in the bot's own data folder."""
    monkeypatch.setenv("KFOPS_FORGE_TOKEN", SECRET)
    folder = tmp_path / "data" / "sources" / "1" / "head"
    folder.mkdir(parents=True)
    with surroundings(tmp_path / "data") as bot:
        (folder / "pipeline.py").write_text(f"{LOOK_AROUND}\nraise SystemExit('got ' + repr({bot.call()}))\n")
        failure = compiled(room, folder)
    assert failure.summary.endswith("got []"), failure
    assert SECRET not in failure.log_tail
