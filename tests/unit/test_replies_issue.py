"""The issue about a model's retraining, as its readers see it."""

from __future__ import annotations

from datetime import UTC, datetime

from markdown_it import MarkdownIt

from kfops.domain.evidence import Comparison, MetricRow, Word
from kfops.domain.facts import GateFact, Refusal, RunFacts, dump
from kfops.domain.operation import Kind, Operation, Outcome, Subject
from kfops.domain.pull_request import Actor
from kfops.domain.record import RunRecord
from kfops.rules.replies import View, render_issue

MONDAY = datetime(2026, 3, 9, 3, tzinfo=UTC)
HOSTILE = "</details> @everyone ![x](http://evil) `code` | a\n# b sesame-open"


def operation(outcome: Outcome | None, branch: str = "main", number: int = 7) -> Operation:
    command = {
        "kind": "retrain",
        "model": "churn",
        "schedule": "0 3 * * 1",
        "branch": branch,
        "moment": MONDAY.isoformat(),
    }
    subject = Subject(
        5, 0, -1, 0, command, Actor(0, "schedule", is_human=False), "", MONDAY, head_sha="a" * 40
    )
    return Operation(
        number,
        Kind.RETRAIN,
        subject,
        "retrain:5",
        "closing",
        {},
        MONDAY,
        MONDAY,
        outcome=outcome,
        reason_code="done",
    )


def body(
    facts: RunFacts, outcome: Outcome | None = Outcome.SUCCEEDED, *earlier: RunRecord, branch: str = "main"
) -> str:
    view = View(
        operation(outcome, branch), facts, "https://forge.example/olga/churn", MONDAY, ("sesame-open",)
    )
    return render_issue(view, "churn", earlier)


def run(number: int, facts: RunFacts, state: str = "SUCCEEDED") -> RunRecord:
    return RunRecord(
        number, 5, 0, "b" * 40, state, "c" * 64, facts.model_version or None, None, dump(facts), MONDAY
    )


def test_a_model_that_holds_its_gates_is_told_with_the_way_into_production():
    text = body(RunFacts(model="churn", gates=(GateFact("roc_auc >= 0.8", True),)))
    assert text.startswith("<!-- kfops retraining=churn -->\n<!-- kfops operation=7 -->")
    assert "scheduled for 2026-03-09 03:00 UTC" in text
    assert 'git commit --allow-empty -m "Retrain churn"' in text
    assert "due on 2026-03-16 03:00 UTC" in text


def test_one_that_breaks_a_gate_is_not_praised():
    text = body(RunFacts(model="churn", gates=(GateFact("roc_auc >= 0.8", False),)))
    assert "a gate does not hold, so this model could not be deployed" in text
    assert "allow-empty" not in text


def test_what_was_before_stands_below_without_the_present_one():
    row = MetricRow("roc_auc", 0.84, word=Word.BETTER)
    good = RunFacts(model_version="3", comparison=Comparison((row,), 500))
    text = body(good, Outcome.SUCCEEDED, run(7, good), run(5, good), run(3, RunFacts(), "FAILED"))
    below = text.partition("#### Earlier")[2]
    assert below.count("2026-03-09 03:00 UTC") == 2
    assert "| ✅ |" in below
    assert "| ❌ |" in below
    assert "`roc_auc` 0.84" in below


def test_r15_foreign_words_do_nothing_in_an_issue():
    facts = RunFacts(model="churn", model_version=HOSTILE, reported={HOSTILE: 1.0}, notes=(HOSTILE,))
    text = body(facts, Outcome.FAILED, run(3, facts), branch=HOSTILE)
    refused = body(RunFacts(refusal=Refusal("policy", HOSTILE, HOSTILE)), Outcome.REFUSED)
    for shown in (text, refused):
        assert "sesame-open" not in shown
        drawn = MarkdownIt("commonmark").enable("table").render(shown)
        assert "evil" in drawn
        for word in ("<img", 'href="http://evil', "@everyone", "<h1"):
            assert word not in drawn
        assert shown.count("<details") == shown.count("</details>")
