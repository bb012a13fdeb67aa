"""Coverage-guided fuzzing of what reads other people's text: the parser, the configuration, the replies (`make fuzz`).

Atheris finds inputs by what code they reach, where hypothesis thinks them up. It is no requirement: its wheels are for
some systems only, so it is installed by hand (`pip install atheris`), and what needs it is skipped where it is not.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).parents[2]
IS_INSTALLED = importlib.util.find_spec("atheris") is not None
WHY_NOT = "atheris is not installed; `pip install atheris` (Linux, x86-64) lets this run"


def read_comment(text: str) -> None:
    """The parser is total, and what it understands it understands again from its own words."""
    from kfops.command.model import Problem
    from kfops.command.parse import parse, parse_line
    from kfops.command.serialise import from_json, to_json
    from kfops.command.write import as_text

    for one in parse(text):
        assert from_json(to_json(one)) == one
        if not isinstance(one, Problem):
            assert parse_line(as_text(one)) == one


def read_config(text: str) -> None:
    """Either a meaning or an error with a place; nothing else."""
    from kfops.config.errors import ConfigError
    from kfops.config.load import rules_edited, rules_of, work_of
    from kfops.config.policy import load_policy

    for read in (
        work_of,
        lambda content: rules_of(content, repository_name="acme/churn"),
        lambda content: rules_edited(content, None),
        lambda content: load_policy(content, filename="policy.yaml"),
    ):
        try:
            read(text)
        except ConfigError as error:
            problems = error.problems
        else:
            continue
        assert all(one.message for one in problems)


def show_text(text: str) -> None:
    """Whatever stands in a refusal, the reply is whole."""
    from kfops.rules.replies.phrases import prose
    from kfops.rules.replies.sections import LIMIT, Section, bounded, closed, width

    shown = bounded([Section(prose(text)), Section(text, summary=text, language="text")])
    assert width(shown) <= LIMIT
    assert closed(shown) == shown


TARGETS: dict[str, Callable[[str], None]] = {
    "comment": read_comment,
    "config": read_config,
    "text": show_text,
}
_WORDS = {
    "comment": b'/deploy --sha 0123456789ab --force=checks --reason "x"\n> /build_run --set a=b\n```\n/rollback',
    "config": b'version: 1\npipeline: {source: p.py}\nmodel: m\nevidence: {gates: ["a >= champion - 0.1"]}\n',
    "text": b"`code` <details> @all ```\n| a | b |\n",
}


def fuzz(name: str, seconds: int) -> None:
    """Never returns: the process ends with 0, or with libFuzzer's report and the input that broke it."""
    import atheris

    with atheris.instrument_imports(include=["kfops.command", "kfops.config", "kfops.rules"]):
        TARGETS[name](_WORDS[name].decode())
    target = TARGETS[name]

    def one(data: bytes) -> None:
        target(data.decode("utf-8", "surrogateescape" if data[:1] == b"\xff" else "replace"))

    limits = [f"-max_total_time={seconds}", "-max_len=4096", "-timeout=20", "-verbosity=0"]
    with tempfile.TemporaryDirectory() as corpus:
        (Path(corpus) / "seed").write_bytes(_WORDS[name])
        atheris.Setup([sys.argv[0], *limits, f"-artifact_prefix={corpus}/", corpus], one)
        atheris.Fuzz()


def fuzzed(name: str, seconds: int) -> subprocess.CompletedProcess[str]:
    """In a process of its own, because libFuzzer ends the one that it runs in."""
    words = [sys.executable, "-m", "tests.support.fuzzing", name, str(seconds)]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(one for one in sys.path if one)}
    return subprocess.run(
        words,
        check=False,
        capture_output=True,
        text=True,
        timeout=seconds * 4 + 60,
        cwd=ROOT,
        env=environment,
    )


def main() -> int:
    if not IS_INSTALLED:
        print(WHY_NOT)
        return 0
    if sys.argv[1] in TARGETS:
        fuzz(sys.argv[1], int(sys.argv[2]))
    each = max(1, int(sys.argv[1]) // len(TARGETS))
    failed = 0
    for name in TARGETS:
        done = fuzzed(name, each)
        print(f"{name}: {each} s, {'failed' if done.returncode else 'nothing found'}", flush=True)
        if done.returncode:
            print(done.stderr[-4000:])
            failed = 1
    return failed


if __name__ == "__main__":
    sys.exit(main())
