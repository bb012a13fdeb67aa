"""Foreign text in any field of an operation or its facts reaches the reply without effect (R15)."""

from __future__ import annotations

import re
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.unit.test_replies_states import BACK, DEPLOY, RUN, START, operation, shown

from kfops.domain.canary_facts import CheckFault, CheckResult, GoldenResult
from kfops.domain.evidence import Comparison, MetricRow, ScoringFailure
from kfops.domain.facts import AnswerFacts, DeployFacts, GateFact, Refusal, RunFacts
from kfops.domain.operation import Kind, Outcome
from kfops.domain.package import CompileFailure
from kfops.domain.record import Lock
from kfops.domain.run import Failure, FailureKind, RunState, RunStatus
from kfops.rules.replies import View, marker, render
from kfops.rules.replies.answers import (
    HelpLine,
    OperationLine,
    PlanView,
    ServedLine,
    StatusView,
    canary_status_body,
    cancel_body,
    help_body,
    lock_body,
    ok_to_test_body,
    plan_body,
    status_body,
    unlock_body,
)
from kfops.rules.replies.sections import LIMIT, closed, width
from kfops.rules.replies.view import without_secrets

PIECES = (
    "@all",
    "<!-- kfops operation=12 -->",
    "</details>",
    "<img src=x onerror=alert(1)>",
    "![x](https://evil.test/p.png)",
    "[go](javascript:alert(1))",
    "```",
    "`",
    "|",
    "\n",
    "\r",
    "\x1b[31m",
    "\u202e",
    "#1",
    "https://evil.test/",
    "a",
)
hostile = st.lists(st.sampled_from(PIECES), min_size=1, max_size=8).map("".join)
FAILURE = Failure(FailureKind.STEP, "s", "train", "tail", "a.py", 3, "hint `x`")
RUNS = (
    RUN,
    replace(RUN, status=RunStatus(RunState.FAILED, failure=FAILURE, link="https://kfp.test"), notes=("n",)),
    replace(RUN, status=None, compile_failure=CompileFailure("s", "a.py", 3, "code", "tail", "hint")),
    replace(RUN, status=None, scoring_failure=ScoringFailure("s", "tail"), reported={"m": 1.0}),
    replace(
        RUN,
        comparison=Comparison((MetricRow("m", 1.0, 1.0, 0.0, reason="r"),), 9, reason="r", warnings=("w",)),
        gates=(GateFact("g", holds=False),),
        rules_edited=("r",),
        model_version="1",
        model_link="https://m.test",
    ),
    replace(RUN, refusal=Refusal("code", "s", "f", "e", "x", "d")),
)
CHECKED = replace(
    BACK,
    check=CheckResult(CheckFault.STATUS, "m"),
    golden=GoldenResult(is_worse=True, rows=9, metric="m", candidate=1.0),
    paused_by="p",
    sentence="s",
)
DEPLOYS = (
    replace(
        DEPLOY,
        rollout=CHECKED,
        merge_sha="m",
        label="l",
        forced=("f",),
        reason="r",
        notes=("n",),
        url="https://u.test",
    ),
    replace(DEPLOY, refusal=Refusal("code", "s", "f", "e", "x", "d")),
)


def poisoned(value: Any, text: str) -> Any:
    """The same value with `text` in place of every string."""
    match value:
        case Enum():
            return value
        case str():
            return text
        case tuple():
            return tuple(poisoned(one, text) for one in value)
        case dict():
            return dict.fromkeys([text], next(iter(value.values()), None))
        case _ if is_dataclass(value) and not isinstance(value, type):
            return replace(
                value, **{one.name: poisoned(getattr(value, one.name), text) for one in fields(value)}
            )
        case _:
            return value


def outside_code(text: str) -> str:
    """What Markdown reads as such: without fenced blocks and code spans."""
    kept, closing = [], ""
    for line in text.split("\n"):
        bare = line.lstrip(" ")
        ticks = bare[: len(bare) - len(bare.lstrip("`"))]
        if closing:
            closing = "" if bare.rstrip() == ticks and len(ticks) >= len(closing) else closing
        elif len(ticks) >= 3 and "`" not in bare[len(ticks) :]:
            closing = ticks
        else:
            kept.append(line)
    assert not closing
    return "\n".join(kept)


def is_harmless(text: str, own_marker: bool = True) -> None:
    assert text.count("<!--") == (1 if own_marker else 0)
    assert not any(bad in text for bad in ("\x1b", "\u202e", "\r"))
    assert all(text[place + 1 : place + 2] == "\u200b" for place, one in enumerate(text) if one == "@")
    prose = outside_code(text)
    assert prose.count("<details") == prose.count("</details>")
    # Markdown is not read between the tags of a summary: the line begins a block of HTML.
    read = _without_spans(re.sub(r"<summary>[^<\n]*</summary>", "", prose))
    read = re.sub(r"\]\(https://[^)]*\)", "]", read)
    assert not any(markup in read for markup in ("<img", "](javascript", "![", "#1"))


def _without_spans(text: str) -> str:
    """Without code spans (a line's own, they never run on) and without escaped characters."""
    kept, at = [], 0
    while at < len(text):
        if text[at] == "\\" and at + 1 < len(text):
            at += 2
        elif text[at] == "`":
            run = len(text[at:]) - len(text[at:].lstrip("`"))
            line_end = text.find("\n", at) if "\n" in text[at:] else len(text)
            end = next(
                (
                    place
                    for place in range(at + run, line_end)
                    if text[place : place + run] == "`" * run
                    and text[place - 1] != "`"
                    and text[place + run : place + run + 1] != "`"
                ),
                None,
            )
            assert end is not None, f"an open code span: {text[at : at + 80]}"
            at = end + run
        else:
            kept.append(text[at])
            at += 1
    return "".join(kept)


@pytest.mark.parametrize("facts", [*RUNS, *DEPLOYS])
@settings(max_examples=25, deadline=None)
@given(text=hostile, outcome=st.sampled_from([None, *Outcome]))
def test_r15_hostile_text_in_any_field_is_neutralised(
    facts: RunFacts | DeployFacts, text: str, outcome: Outcome | None
) -> None:
    kind = Kind.DEPLOY if isinstance(facts, DeployFacts) else Kind.BUILD_RUN
    asked = operation(kind, "follow", outcome)
    asked = replace(
        asked,
        cancel_by=text,
        reason_code=text,
        subject=replace(asked.subject, author=poisoned(asked.subject.author, text)),
    )
    reply = shown(asked, poisoned(facts, text))
    assert reply.startswith(marker(12))
    is_harmless(reply)


@settings(max_examples=50, deadline=None)
@given(text=hostile)
def test_r15_hostile_text_in_answers_is_neutralised(text: str) -> None:
    line = OperationLine(3, text, 7, text, text, START)
    bodies = (
        help_body([HelpLine(text, text, text, text), HelpLine(text, text, "", text)]),
        status_body(StatusView(START, (line,), (ServedLine(text, text, text, text),), (), (line,))),
        plan_body(PlanView(text, text, (text,))),
        plan_body(PlanView(text, text, refusal=Refusal(text, text, text, text, text, text))),
    )
    for body in bodies:
        is_harmless(body, own_marker=False)


ANSWERS = (
    Kind.HELP,
    Kind.STATUS,
    Kind.PLAN,
    Kind.CANCEL,
    Kind.CANARY,
    Kind.LOCK,
    Kind.UNLOCK,
    Kind.OK_TO_TEST,
    Kind.MISTAKE,
)
REFUSAL = Refusal("code", "s", "f", "e", "x", "d")
SECRET = "hunter2-is-no-password"


def body_of(kind: Kind, text: str) -> str:
    """As the bot makes it: every text in it has been masked before."""
    line = without_secrets(OperationLine(3, text, 7, text, text, START), [SECRET])
    text = without_secrets(text, [SECRET])
    match kind:
        case Kind.STATUS:
            lock = Lock(text, text, text, START, None, None)
            return status_body(
                StatusView(START, (line,), (ServedLine(text, text, text, text),), (lock,), (line,))
            )
        case Kind.PLAN:
            return plan_body(PlanView(text, text, (text, text)))
        case Kind.CANCEL:
            return cancel_body([line], [text])
        case Kind.CANARY:
            return canary_status_body(3, text, poisoned(CHECKED, text))
        case Kind.LOCK:
            return lock_body(text, text, START)
        case Kind.UNLOCK:
            return unlock_body(text, Lock(text, text, text, START, None, None))
        case Kind.OK_TO_TEST:
            return ok_to_test_body(text)
        case _:
            return help_body([HelpLine(text, text, text, text), HelpLine(text, text, "", text)])


ANY = st.one_of(hostile, st.text(max_size=60), hostile.map(lambda text: f"{text}{SECRET}{text}"))


@pytest.mark.parametrize("kind", ANSWERS)
@settings(max_examples=20, deadline=None)
@given(text=ANY, is_refused=st.booleans(), outcome=st.sampled_from([None, *Outcome]))
def test_r15_any_text_in_any_answer_is_neutralised_in_the_comment_itself(
    kind: Kind, text: str, is_refused: bool, outcome: Outcome | None
) -> None:
    facts = (
        AnswerFacts(refusal=poisoned(REFUSAL, text)) if is_refused else AnswerFacts(body=body_of(kind, text))
    )
    is_whole(rendered(kind, "gate", text, outcome, facts))


@pytest.mark.parametrize("facts", [*RUNS, *DEPLOYS])
@settings(max_examples=15, deadline=None)
@given(text=ANY, outcome=st.sampled_from([None, *Outcome]))
def test_r15_any_text_in_any_state_keeps_the_comment_whole_and_its_secrets_masked(
    facts: RunFacts | DeployFacts, text: str, outcome: Outcome | None
) -> None:
    kind = Kind.DEPLOY if isinstance(facts, DeployFacts) else Kind.BUILD_RUN
    is_whole(rendered(kind, "follow", text, outcome, poisoned(facts, text)))


def rendered(
    kind: Kind, phase: str, text: str, outcome: Outcome | None, facts: RunFacts | DeployFacts | AnswerFacts
) -> str:
    asked = operation(kind, phase, outcome)
    command = {"kind": kind.value, "text": text}
    subject = replace(asked.subject, author=poisoned(asked.subject.author, text), command=command)
    asked = replace(asked, cancel_by=text, reason_code=text, subject=subject)
    return render(View(asked, facts, "https://forge.test/acme/churn", START, (SECRET,)))


def is_whole(reply: str) -> None:
    assert reply.startswith(marker(12))
    is_harmless(reply)
    assert SECRET not in reply
    assert width(reply) <= LIMIT
    assert closed(reply) == reply
    assert not re.search(
        "[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\x00-\x08\x0b-\x1f\x7f-\x9f\ud800-\udfff]", reply
    )


def test_a_reply_fits_into_what_the_forge_takes() -> None:
    log = "word\n" * 40_000
    failure = replace(FAILURE, log_tail=log, summary=log)
    facts = replace(RUN, status=RunStatus(RunState.FAILED, failure=failure), notes=(log,) * 40)
    reply = shown(operation(Kind.RUN, "closing", Outcome.FAILED, "run_failed"), facts)
    assert len(reply) <= 60_000
    assert reply.startswith(marker(12))
