"""What reads other people's text is total: the same targets by hypothesis always, by atheris where it is installed."""

from __future__ import annotations

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tests.support.fuzzing import IS_INSTALLED, TARGETS, WHY_NOT, fuzzed

from kfops.command import model
from kfops.command.catalog import ENTRIES
from kfops.command.identifiers import is_value
from kfops.command.parse import parse, parse_line
from kfops.command.write import as_text

NAMES = [f"/{entry.name}" for entry in ENTRIES]
LINES = st.lists(
    st.one_of(
        st.sampled_from(
            [*NAMES, "/deplyo", "/plan /deploy", "> /deploy", "```", "- /run", "    /run", "<!--", "-->", ""]
        ),
        st.builds(
            "{} {}".format,
            st.sampled_from(NAMES),
            st.lists(
                st.one_of(
                    st.sampled_from(
                        ["--set", "--set a=b", "--reason", "--force", "--force=checks", "--sha", '"', "—"]
                    ),
                    st.text(max_size=12),
                ),
                max_size=4,
            ).map(" ".join),
        ),
        st.text(max_size=40),
    ),
    max_size=8,
).map("\n".join)
KEYS = st.sampled_from(
    [
        "version",
        "pipeline",
        "source",
        "model",
        "evidence",
        "gates",
        "deployment",
        "canary",
        "steps",
        "permissions",
        "teams",
    ]
)
VALUES = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-3, 10**6).map(str),
        st.text(max_size=10),
        st.sampled_from(
            ["1", "a.py", "5m", "&a x", "*a", "!!python/object:os.system x", "{a", "[", "2026-01-01", ".inf"]
        ),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3).map(lambda items: f"[{', '.join(map(str, items))}]"),
        st.dictionaries(KEYS, inner, max_size=3).map(
            lambda pairs: "{" + ", ".join(f"{key}: {value}" for key, value in pairs.items()) + "}"
        ),
    ),
    max_leaves=8,
)
FILES = st.lists(st.builds("{}: {}".format, KEYS, VALUES), max_size=6).map("\n".join)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(LINES, st.text(max_size=300)))
@example("/lock a --reason \ud800")
@example('/plan /rollback --reason "a\\\\"')
def test_r4_any_comment_is_read_and_what_was_understood_is_understood_again(text: str) -> None:
    TARGETS["comment"](text)


@settings(max_examples=300, deadline=None)
@given(text=st.one_of(FILES, st.text(max_size=300)))
def test_any_file_is_a_meaning_or_an_error_with_its_place(text: str) -> None:
    TARGETS["config"](text)


@settings(max_examples=200, deadline=None)
@given(text=st.text(max_size=2000))
def test_r15_any_text_is_shown_whole(text: str) -> None:
    TARGETS["text"](text)


words = st.text(min_size=1, max_size=30).filter(lambda text: bool(text.strip()) and is_value(text))
identifiers = st.from_regex(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}", fullmatch=True)
shas = st.from_regex(r"[0-9a-f]{40}", fullmatch=True)
pairs = st.lists(
    st.tuples(identifiers, st.text(max_size=20).filter(is_value)), max_size=3, unique_by=lambda pair: pair[0]
).map(tuple)
forced = st.sets(st.sampled_from(list(model.Skip))).map(
    lambda chosen: tuple(one for one in model.Skip if one in chosen)
)
plannable = st.one_of(
    st.builds(model.Build, set=pairs),
    st.builds(model.Run, set=pairs, package=st.none() | identifiers),
    st.builds(model.BuildRun, set=pairs),
    st.builds(model.StagingDeploy, run=st.none() | identifiers),
    st.builds(
        model.Deploy,
        environment=identifiers,
        run=st.none() | identifiers,
        sha=st.none() | shas.map(lambda sha: sha[:12]),
        force=forced,
        reason=words,
    ),
    st.builds(model.Rollback, reason=words, environment=identifiers, to=st.none() | identifiers),
    st.builds(model.CanaryControl, action=st.sampled_from(list(model.CanaryAction))),
    st.builds(model.Cancel, operation=st.none() | st.integers(1, 10**17)),
    st.builds(model.Lock, environment=identifiers, reason=words),
    st.builds(model.Unlock, environment=identifiers),
    st.builds(model.OkToTest, sha=shas),
    st.just(model.Status()),
    st.just(model.Help()),
)


@settings(max_examples=400, deadline=None)
@given(command=st.one_of(plannable, st.builds(model.Plan, command=plannable)))
def test_r4_every_command_is_read_back_from_its_own_words(command: model.Command) -> None:
    assert parse_line(as_text(command)) == command
    assert parse(f"Please:\n\n{as_text(command)}\n\nThanks.") == (command,)


@pytest.mark.skipif(not IS_INSTALLED, reason=WHY_NOT)
@pytest.mark.parametrize("name", TARGETS)
def test_atheris_finds_nothing_in_a_few_seconds(name: str) -> None:
    done = fuzzed(name, seconds=5)

    assert done.returncode == 0, done.stderr[-4000:]
