"""Comments to commands: named rows, the original's defects, and totality."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfops.command.catalog import ENTRIES
from kfops.command.model import (
    Build,
    BuildRun,
    CanaryAction,
    CanaryControl,
    Cancel,
    Deploy,
    Help,
    Lock,
    Mistake,
    OkToTest,
    Plan,
    Problem,
    Rollback,
    Run,
    Skip,
    StagingDeploy,
    Status,
    Unlock,
)
from kfops.command.parse import LONGEST_TEXT, MOST_COMMANDS, parse, parse_line

SHA = "0123456789abcdef0123456789abcdef01234567"

UNDERSTOOD = {
    "build": ("/build", Build()),
    "build with set": ("/build --set a=1", Build((("a", "1"),))),
    "run": ("/run", Run()),
    "run a package": ("/run --package 42 --set a=1", Run((("a", "1"),), "42")),
    "underscore": ("/build_run", BuildRun()),
    "hyphen": ("/build-run", BuildRun()),
    "several sets keep their order": ("/build_run --set b=2 --set a=1", BuildRun((("b", "2"), ("a", "1")))),
    "staging": ("/staging_deploy --run 7", StagingDeploy("7")),
    "staging with a hyphen": ("/staging-deploy", StagingDeploy()),
    "deploy": ("/deploy", Deploy()),
    "deploy elsewhere": ("/deploy eu-west --run=9", Deploy("eu-west", "9")),
    "deploy a commit": (f"/deploy --sha {SHA}", Deploy(sha=SHA)),
    "deploy a shortened commit": (f"/deploy --sha {SHA[:12]}", Deploy(sha=SHA[:12])),
    "bare force is about being behind": (
        '/deploy --force --reason "late fix"',
        Deploy(force=(Skip.UP_TO_DATE,), reason="late fix"),
    ),
    "force names its gates": (
        "/deploy --force=checks,approval --reason drill",
        Deploy(force=(Skip.CHECKS, Skip.APPROVAL), reason="drill"),
    ),
    "rollback": ('/rollback --reason "scores drift"', Rollback("scores drift")),
    "rollback to": ("/rollback staging --to 7 --reason x", Rollback("x", environment="staging", to="7")),
    "canary": ("/canary promote", CanaryControl(CanaryAction.PROMOTE)),
    "status": ("/status", Status()),
    "cancel all": ("/cancel", Cancel()),
    "cancel one": ("/cancel 42", Cancel(42)),
    "plan without slash": ("/plan deploy --run 7", Plan(Deploy(run="7"))),
    "plan with slash": ("/plan /rollback --reason x", Plan(Rollback("x"))),
    "lock": (
        '/lock production --reason "sale" --for 1h30m',
        Lock("production", "sale", for_=timedelta(minutes=90)),
    ),
    "unlock": ("/unlock production", Unlock("production")),
    "ok to test": (f"/ok-to-test {SHA}", OkToTest(SHA)),
    "ok to test with underscores": (f"/ok_to_test {SHA}", OkToTest(SHA)),
    "help": ("/help", Help()),
    "blanks at the end": ("/status   \t", Status()),
    "up to three spaces before": ("   /status", Status()),
    "tabs between words": ("/run\t--package\t3", Run(package="3")),
    "windows line ends": ("please\r\n/status\r\nthanks", Status()),
    "old mac line ends": ("please\r/status\rthanks", Status()),
    "quoted": ('/run --set "a=b c"', Run((("a", "b c"),))),
    "quoted behind the equals sign": ('/run --set=a="b c"', Run((("a", "b c"),))),
    "escaped quote": (r'/run --set a="say \"hi\" \\ now"', Run((("a", 'say "hi" \\ now'),))),
    "empty value": ("/run --set a=", Run((("a", ""),))),
    "JSON without blanks": ('/run --set a={"b":1}', Run((("a", '{"b":1}'),))),
    "negative number": ("/run --set a=-1", Run((("a", "-1"),))),
    "apostrophe inside": ("/run --set a=O'Neil", Run((("a", "O'Neil"),))),
    "emphasis around": ("**see\n/status\nbelow**", Status()),
    "above a line of hyphens": ("/status\n---", Status()),
    "ending a list": ("- done this\n- done that\n/status", Status()),
    "below a heading": ("# Ready\n/status", Status()),
    "between closed code": ("```\n/deploy\n```\n/status", Status()),
    "below a closed HTML comment": ("<!-- template -->\n\n/status", Status()),
}

MISREAD = {
    "unknown flag": ("/run --sett a=1", Mistake.UNKNOWN_FLAG, (5, 11), "Did you mean --set?"),
    "flag of another command": ("/build --sha 1", Mistake.UNKNOWN_FLAG, (7, 12), "/build knows --set"),
    "no flags at all": ("/status --all", Mistake.UNKNOWN_FLAG, (8, 13), "takes no flags"),
    "one hyphen": ("/run -s a=1", Mistake.UNKNOWN_FLAG, (5, 7), "knows --set"),
    "a dash": ("/run —set a=1", Mistake.UNKNOWN_FLAG, (5, 6), "two hyphens"),
    "twice": ("/deploy --run 1 --run 2", Mistake.REPEATED_FLAG, (16, 21), "Keep one"),
    "one parameter twice": ("/run --set a=1 --set a=2", Mistake.BAD_VALUE, None, "each parameter once"),
    "no value": ("/run --set", Mistake.MISSING_VALUE, (5, 10), "--set NAME=VALUE"),
    "a flag for a value": ("/deploy --run --force", Mistake.MISSING_VALUE, (8, 13), "--run ID"),
    "no equals sign": ("/run --set a", Mistake.BAD_VALUE, (11, 12), "NAME=VALUE"),
    "no name": ("/run --set =1", Mistake.BAD_VALUE, (11, 13), "starting with a letter"),
    "look-alike letter": ("/run --set а=1", Mistake.BAD_VALUE, None, "letters, digits"),
    "command in a name": ("/deploy $(id)", Mistake.BAD_VALUE, (8, 13), "letters, digits"),
    "path for an environment": ("/deploy ../x", Mistake.BAD_VALUE, (8, 12), "letters, digits"),
    "short sha": ("/deploy --sha 0123456", Mistake.BAD_VALUE, (14, 21), "12 hexadecimal"),
    "ok to test wants all of it": (f"/ok-to-test {SHA[:12]}", Mistake.BAD_VALUE, (12, 24), "40 hexadecimal"),
    "force without a reason": ("/deploy --force", Mistake.BAD_VALUE, None, "a reason with --force"),
    "force without a known gate": ("/deploy --force=lock --reason x", Mistake.BAD_VALUE, (16, 20), "up-to-date"),
    "blank reason": ('/rollback --reason " "', Mistake.BAD_VALUE, None, "why"),
    "no reason": ("/rollback", Mistake.MISSING_ARGUMENT, (0, 9), "--reason"),
    "no environment": ("/unlock", Mistake.MISSING_ARGUMENT, (0, 7), "/unlock ENV"),
    "no unit": ("/lock p --reason x --for 2", Mistake.BAD_VALUE, (25, 26), "a duration such as"),
    "no time at all": ("/lock p --reason x --for 0s", Mistake.BAD_VALUE, (25, 27), "a duration such as"),
    "too long": ("/lock p --reason x --for 400d", Mistake.BAD_VALUE, (25, 29), "at most 366d"),
    "unknown action": ("/canary promot", Mistake.BAD_VALUE, (8, 14), "promote"),
    "no operation": ("/cancel 0", Mistake.BAD_VALUE, (8, 9), "positive"),
    "open quotation": ('/run --set "a=b', Mistake.BAD_QUOTE, (11, 15), "one line"),
    "text behind a quotation": ('/run --set "a=b"c', Mistake.BAD_QUOTE, None, "whole value"),
    "single quotes": ("/deploy --reason 'x y'", Mistake.BAD_QUOTE, (17, 18), "double quotes"),
    "typographic quotes": ("/deploy --reason “x y”", Mistake.BAD_QUOTE, (17, 18), "double quotes"),
    "prose behind": ("/deploy now please", Mistake.UNEXPECTED_ARGUMENT, (12, 18), "a line of its own"),
    "prose behind a command without arguments": ("/status please", Mistake.UNEXPECTED_ARGUMENT, (8, 14), "Usage"),
    "value for a switch-like command": ("/help deploy", Mistake.UNEXPECTED_ARGUMENT, (6, 12), "Usage"),
    "letters swapped": ("/deplyo", Mistake.UNKNOWN_COMMAND, (0, 7), "Did you mean /deploy?"),
    "letter missing": ("/build_rn --set a=1", Mistake.UNKNOWN_COMMAND, (0, 9), "Did you mean /build_run?"),
    "capitals": ("/Deploy", Mistake.UNKNOWN_COMMAND, (0, 7), "Did you mean /deploy?"),
    "full stop": ("/status.", Mistake.UNKNOWN_COMMAND, (0, 8), "Did you mean /status?"),
    "hyphens missing": (f"/oktotest {SHA}", Mistake.UNKNOWN_COMMAND, (0, 9), "Did you mean /ok-to-test?"),
    "plan of nothing": ("/plan", Mistake.MISSING_ARGUMENT, (0, 5), "/plan COMMAND"),
    "plan of a typo": ("/plan deplyo", Mistake.UNKNOWN_COMMAND, (6, 12), "/plan deploy"),
    "plan of a plan": ("/plan plan deploy", Mistake.UNKNOWN_COMMAND, (6, 10), "There are build"),
    "plan of a wrong flag": ("/plan deploy --shaa 1", Mistake.UNKNOWN_FLAG, (13, 19), "--sha"),
}  # fmt: skip

NOT_OURS = {
    "nothing": "",
    "prose": "LGTM, thanks!",
    "in the middle": "please do not /deploy yet",
    "another word": "/deployment is done",
    "plural": "/builds are red",
    "participle": "/deployed yesterday",
    "path": "/usr/bin/env is missing",
    "path of one part": "/usr",
    "docs link": "see docs/deploy/readme",
    "path that begins with a command": "/deploy/readme.md",
    "other bots' commands": "/lgtm\n/approve\n/assign @somebody\n/retest\n/cc",
    "inline code": "`/deploy`",
    "inline code over lines": "`look\n/deploy\nhere`",
    "fenced code": "```\n/deploy\n```",
    "fenced code with tildes": "~~~sh\n/deploy\n~~~",
    "fence that never closes": "```\n/deploy",
    "fence in windows line ends": "```\r\n/deploy\r\n```",
    "fence in a list": "- a\n  ```\n  /deploy\n  ```",
    "indented code": "look:\n\n    /deploy",
    "tab": "look:\n\n\t/deploy",
    "quote": "> /deploy",
    "quote that goes on lazily": "> somebody wrote\n/deploy",
    "quote in a quote": "> > /deploy",
    "list item": "- /deploy",
    "numbered item": "1. /deploy",
    "second line of an item": "- type\n  /deploy",
    "paragraph of an item": "- type\n\n  /deploy",
    "HTML comment": "<!--\n/deploy\n-->",
    "HTML comment inside a line": "text <!--\n/deploy\n--> text",
    "HTML block": "<details>\n/deploy\n</details>",
    "table": "| a |\n|---|\n/deploy",
    "link text": "[look\n/deploy](https://example.com)",
    "link title": "[look](https://example.com 'a\n/deploy\nb')",
    "image text": "![look\n/deploy](https://example.com)",
    "link definition": "[deploy]:\n/deploy",
    "other slashes": "//deploy\n\\/deploy\n∕deploy\n／deploy",
    "a slash alone": "/ deploy",
}


@pytest.mark.parametrize(("text", "command"), UNDERSTOOD.values(), ids=UNDERSTOOD)
def test_understood(text, command):
    assert parse(text) == (command,)


@pytest.mark.parametrize(("text", "code", "span", "hint"), MISREAD.values(), ids=MISREAD)
def test_misread_says_where_and_what_would_do(text, code, span, hint):
    (problem,) = parse(text)
    assert isinstance(problem, Problem)
    assert problem.reason_code is code
    assert hint in problem.hint
    assert problem.line == 1
    assert problem.text == text
    if span:
        assert (problem.start, problem.end) == span


@pytest.mark.parametrize("text", NOT_OURS.values(), ids=NOT_OURS)
def test_not_ours_gets_no_answer(text):
    assert parse(text) == ()


@pytest.mark.parametrize(
    "text",
    [
        "please do not /deploy yet",
        "/deployment is done",
        "`/deploy`",
        "> /deploy",
        "see docs/deploy/readme",
        "a comment with no command",
    ],
)
def test_original_defect_14_parses_as_deploy(text):
    assert parse(text) == ()


def test_original_defect_14_build_running_is_build_run():
    assert parse("/build_running") == ()


def test_original_defect_14_filter_rejects_text_below_the_command():
    assert parse("/run\nsome text") == (Run(),)


def test_original_defect_13_equals_sign_in_a_value_crashes():
    assert parse("/run --set query=a=b==c") == (Run((("query", "a=b==c"),)),)


def test_original_defect_1_comment_reaches_a_shell():
    (problem,) = parse("/run --package '; rm -rf / #")
    assert isinstance(problem, Problem)
    (problem,) = parse("/run --package $(reboot)")
    assert isinstance(problem, Problem)


def test_commands_of_one_comment_in_order_with_problems_between():
    text = "First:\n\n/build_run\n/deplyo\n\n> /rollback\n\n/status\n"
    first, second, third = parse(text)
    assert first == BuildRun()
    assert isinstance(second, Problem)
    assert second.line == 4
    assert third == Status()


def test_nothing_is_half_obeyed_when_there_are_too_many():
    at_most = "/status\n" * MOST_COMMANDS
    assert len(parse(at_most)) == MOST_COMMANDS
    (problem,) = parse(at_most + "/deploy\n")
    assert isinstance(problem, Problem)
    assert problem.reason_code is Mistake.TOO_MANY


def test_too_long_a_comment_is_refused_whole():
    (problem,) = parse("/deploy\n" + "x" * LONGEST_TEXT)
    assert isinstance(problem, Problem)
    assert problem.reason_code is Mistake.TOO_LONG


def test_problem_points_at_its_place():
    (problem,) = parse("/run --sett a=1")
    assert isinstance(problem, Problem)
    assert problem.pointed() == "/run --sett a=1\n     ^^^^^^"


def test_line_of_the_command_line():
    assert parse_line(" /deploy --run 7 ") == Deploy(run="7")
    assert parse_line("deploy") is None
    assert isinstance(parse_line("/deploy\n/build"), Problem)


@given(st.text())
@settings(max_examples=200, deadline=None)
def test_never_raises(text):
    assert isinstance(parse(text), tuple)


_PIECES = [
    *(f"/{entry.name}" for entry in ENTRIES), "--set", "--force", "--reason", "=", '"', "'", "\\", " ", "\t", "\n", "\r\n",
    "`", "```", "> ", "- ", "<!--", "-->", "<b>", "[", "](", ")", "*", "_", "|", "\x00", "\ud800", "\u2028", "\x0b", "a=b",
]  # fmt: skip


@given(st.lists(st.sampled_from(_PIECES), max_size=30).map("".join))
@settings(max_examples=300, deadline=None)
def test_never_raises_on_what_looks_like_commands(text):
    lines = text.count("\n") + text.count("\r") + 1
    for one in parse(text):
        if isinstance(one, Problem):
            assert 1 <= one.line <= lines
            assert 0 <= one.start <= one.end <= len(one.text)
            assert one.message
            assert one.hint


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_never_deploys_what_is_not_alone_at_the_start_of_a_line(text):
    before = "".join(letter for letter in text if letter not in "/\r\n")
    assert not any(isinstance(one, Deploy) for one in parse(f"a {before} /deploy"))
