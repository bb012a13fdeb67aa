"""R15: whatever foreign text says, a reply keeps its shape, its size and its silence."""

from __future__ import annotations

import math
import re
import unicodedata

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from kfops.rules.replies import markdown as m

GITHUB_LIMIT = 65_536
PARSER = MarkdownIt("commonmark", {"html": True}).enable("table")

# Text that wants out: fences, tags, mentions, escapes, bidirectional overrides, table bars.
HOSTILE = st.lists(
    st.sampled_from(
        [
            "```",
            "````\n",
            "~~~",
            "\n```\n",
            "</details>",
            "<details>",
            "<DETAILS open>",
            "<!--",
            "-->",
            "<script>alert(1)</script>",
            "@ada",
            "@org/team",
            "|",
            "\\|",
            "\\",
            "`",
            "\n",
            "\r",
            "\x1b[31m",
            "\x1b]0;title\x07",
            "\u202e",
            "\u2066",
            "\u200b",
            "\x00",
            "\ud800",
            "![x](http://evil.test/x.png)",
            "[x](javascript:alert(1))",
            "https://evil.test",
            "#12",
            "$x$",
            "/deploy",
            "\n\n    indented",
            "\n> quote",
            "\n---\n",
            "&lt;",
            "é𝔘",
        ]
    )
    | st.text(max_size=20),
    max_size=40,
).map("".join)


def _mentions(text: str) -> list[str]:
    return re.findall(r"@(?=[A-Za-z0-9])", text)


def _unclosed(text: str) -> list[str]:
    """What a renderer finds open at the end: a fence without its end, a <details> without its tag."""
    opened: list[str] = []
    folded = 0
    for token in PARSER.parse(text):
        if token.type == "fence" and token.map:
            last = text.split("\n")[token.map[1] - 1].strip()
            if not re.fullmatch(re.escape(token.markup[0]) + f"{{{len(token.markup)},}}", last):
                opened.append(token.markup)
        if token.type in {"html_block", "inline"}:
            source = (
                token.content
                if token.type == "html_block"
                else "".join(one.content for one in token.children or [] if one.type == "html_inline")
            )
            folded += len(re.findall(r"<details\b", source, re.IGNORECASE))
            folded -= len(re.findall(r"</details\b", source, re.IGNORECASE))
    return opened + ["details"] * folded


def _reply(parts: list[str]) -> list[m.Section]:
    title, name, value, log, summary, other = parts
    return [
        m.Section(f"**{m.cell(title)}** on {m.code_span(name)}"),
        m.Section(m.table(["parameter", "value"], [[m.cell(name), m.code_span(value)]])),
        m.Section(log, summary=summary, language="text"),
        m.Section(m.table(["a"], [[m.cell(line)] for line in other.split("\n")]), summary=title),
    ]


@given(parts=st.lists(HOSTILE, min_size=6, max_size=6))
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_r15_any_text_keeps_the_reply_whole_and_mentions_nobody(parts: list[str]) -> None:
    text = m.bounded(_reply(parts))
    assert _mentions(text) == []
    assert _unclosed(text) == []
    assert m.width(text) <= m.LIMIT < GITHUB_LIMIT
    assert not re.search("[\u202a-\u202e\u2066-\u2069\u200e\u200f\u061c\x00-\x08\x0b-\x1f\x7f-\x9f]", text)
    text.encode()


@given(
    part=HOSTILE.filter(bool),
    times=st.integers(1, 3000),
    limit=st.integers(1_000, 20_000),
    shown=st.booleans(),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_r15_any_length_fits_the_limit(part: str, times: int, limit: int, shown: bool) -> None:
    long = (part * times)[:150_000]
    sections = [
        m.Section("**Failed**"),
        m.Section(long, summary="log", language="text", is_open=shown),
        m.Section(m.cell(long, limit=5000) if shown else "what to type next"),
    ]
    text = m.bounded(sections, limit)
    assert m.width(text) <= limit
    assert _unclosed(text) == []
    assert text.startswith("**Failed**")
    assert _mentions(text) == []


SECRETS = st.text("abcdefghijklmnopqrstuvwxyzABCDEFGHIJ0123456789+/=_-", min_size=6, max_size=60)


@given(
    secret=SECRETS,
    before=HOSTILE,
    after=HOSTILE,
    noise=st.sampled_from(["", "\x1b[0m", "\u200b", "\x00", "\u202e"]),
)
@settings(max_examples=150, deadline=None)
def test_r15_no_masked_secret_is_in_the_reply(secret: str, before: str, after: str, noise: str) -> None:
    hidden = secret[:3] + noise + secret[3:]
    text = m.mask(f"{before}\n{hidden}\n{after}", [secret])
    whole = m.bounded([m.Section(m.cell(text, limit=10_000)), m.Section(text, summary="log", language="")])
    if secret not in "***":
        assert secret not in whole


@given(text=HOSTILE)
def test_r15_a_fence_is_one_code_block(text: str) -> None:
    tokens = PARSER.parse(m.fence(text, "text"))
    assert [token.type for token in tokens] == ["fence"]


@given(text=HOSTILE, other=HOSTILE)
def test_r15_a_row_has_its_cells_and_no_markup(text: str, other: str) -> None:
    tokens = PARSER.parse(m.table(["a", "b"], [[m.cell(text), m.code_span(other)]]))
    assert [token.type for token in tokens].count("td_open") == 2
    first = next(one for at, one in enumerate(tokens) if tokens[at - 1].type == "td_open")
    assert {child.type for child in first.children or []} <= {"text", "text_special"}


@pytest.mark.parametrize(
    "secret",
    [
        "ghp_" + "a1B2" * 9,
        "ghs_" + "a1B2-_" * 5,
        "github_pat_" + "11ABCDEFG0" * 5,
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "glpat-" + "x" * 20,
        "hf_" + "AbCd" * 6,
        "xoxb-1234567890-abcdef",
        "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.dozjgNryP4J3jVmNHl0w5N",
        "-----BEGIN RSA PRIVATE KEY-----\nMIIEabc\ndef\n-----END RSA PRIVATE KEY-----",
        "-----BEGIN PRIVATE KEY-----\nMIIEabc",
        "A" * 64 + "\n-----END PRIVATE KEY-----",
    ],
)
def test_r15_secrets_by_pattern(secret: str) -> None:
    masked = m.mask(f"see\n{secret}\nhere", [])
    assert "***" in masked
    for line in secret.split("\n"):
        assert line not in masked


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("git clone https://bob:hunter22@host.test/r.git", "git clone https://***@host.test/r.git"),
        ("Authorization: Bearer abcdefghijkl.mnop", "Authorization: Bearer ***"),
        ("authorization: basic eC1hY2Nlc3M6YWJj", "authorization: basic ***"),
        ("AWS_SECRET_ACCESS_KEY=wJalrXUtnFEMI/K7MDENG", "AWS_SECRET_ACCESS_KEY=***"),
        ('{"password": "correct-horse"}', '{"password": "***"}'),
        ("accuracy=0.912345678 tokenizer=BertTokenizer", "accuracy=0.912345678 tokenizer=BertTokenizer"),
        ("see https://user:pa@ss@host.test/r, ada@host.test", "see https://***@host.test/r, ada@host.test"),
        ("postgres://user:p/w@host.test:5432/db", "postgres://***@host.test:5432/db"),
        ("redis://:p?a#s/s@host.test/0", "redis://***@host.test/0"),
        ("https://ada@work.test:hunter22@host.test/", "https://***@host.test/"),
        ("https://u:1234,5678@host.test/", "https://***@host.test/"),
        ('https://u:pass"word@host.test/', "https://***@host.test/"),
        (f"mysql://u:{'x' * 1500}@host.test/db", "mysql://***@host.test/db"),
        ("https://a-long-token@host.test/", "https://***@host.test/"),
        ("amqp://u:p@one.test,amqp://v:q@two.test", "amqp://***@one.test,amqp://***@two.test"),
        ('{"from":"s3://u:p@one.test","by":"ada@x"}', '{"from":"s3://***@one.test","by":"ada@x"}'),
        (f"oci://u:p@host.test/a@sha256:{'ab' * 32}", f"oci://***@host.test/a@sha256:{'ab' * 32}"),
    ],
)
def test_r15_secrets_by_their_place(text: str, masked: str) -> None:
    assert m.mask(text, []) == masked


@pytest.mark.parametrize(
    "address",
    [
        "https://host.test/path?x=a@b",
        "https://host.test?mail=ada@work.test",
        "https://host.test/path@v1",
        "https://host.test:8080/path@v1?mail=ada@work.test",
        "https://host.test:8080?mail=ada:x@work.test",
        "http://[::1]:8080/path@v1",
        "https://host.test/a:b@c",
        f"https://host.test/a@sha256:{'ab' * 32}",
        f"docker://registry:5000/a@sha256:{'ab' * 32}",
        f"oci://image@sha256:{'ab' * 32}",
        "mongodb://one:27017,two:27017/db?by=ada@work.test",
        "<https://host.test/> ada@work.test",
    ],
)
def test_r15_an_address_without_a_password_stays_readable(address: str) -> None:
    assert m.mask(f"see {address} there", []) == f"see {address} there"


def test_r15_secrets_are_masked_in_their_encodings_and_longest_first() -> None:
    text = 'a"b c/d longer: hunter2hunter2 hunter2 YSJiIGMvZA== a%22b%20c%2Fd a\\"b c/d'
    assert m.mask(text, ['a"b c/d', "hunter2", "hunter2hunter2", "abc"]) == "*** longer: *** *** *** *** ***"


@pytest.mark.parametrize(
    "hostile",
    [
        "a" * 60_000,
        "a." * 30_000,
        "a://" * 15_000,
        "ab://a:" * 10_000,
        f"ab://a:{'x' * 60_000}",
        "ab://@" * 10_000,
        f"ab://{'@' * 60_000}",
        f"{'ab.' * 20_000}://a:b",
        "token=" * 10_000,
        "`" * 60_000,
    ],
)
def test_r15_long_lines_are_masked_in_a_moment(hostile: str) -> None:
    """The patterns have bounds; with a quadratic one this test would not end."""
    assert len(m.mask(hostile, ["secret-value"])) <= len(hostile)


def test_the_longest_folded_part_is_cut_first_and_a_log_keeps_its_end() -> None:
    log = "\n".join(f"line {number}" for number in range(20_000))
    steps = "\n".join(f"| step {number} |" for number in range(100))
    text = m.bounded(
        [
            m.Section("**Failed** in `train`"),
            m.Section(steps, summary="Steps"),
            m.Section(log, summary="Log", language="text"),
            m.Section("Next: `/build_run`"),
        ]
    )
    assert steps in text
    assert "line 19999" in text
    assert "line 1\n" not in text
    assert text.endswith("Next: `/build_run`")
    assert m.width(text) > m.LIMIT * 0.98


def test_r15_no_control_or_format_character_stays() -> None:
    kept = m.clean("".join(chr(code) for code in range(0x110000)))
    left = {one for one in kept if unicodedata.category(one) in {"Cc", "Cf", "Cs", "Zl", "Zp"}}
    assert left == {"\n", "\t", "\u200c", "\u200d"}


def test_two_long_parts_share_the_room() -> None:
    parts = [m.Section(f"{name}\n" * 40_000, summary=name, language="") for name in ("aaa", "bbb")]
    text = m.bounded(parts)
    assert text.count("aaa") > 5_000
    assert text.count("bbb") > 5_000


def test_prose_that_is_too_long_is_cut_and_closed() -> None:
    text = m.bounded([m.Section("<details><summary>x</summary>\n\n```\n" + "row\n" * 30_000)], 5_000)
    assert m.width(text) <= 5_000
    assert _unclosed(text) == []
    assert text.rstrip().endswith("</details>")


@pytest.mark.parametrize(
    ("log", "limit", "expected"),
    [
        ("one\ntwo\nthree", 100, "one\ntwo\nthree"),
        ("one\ntwo\nthree", 9, "three"),
        ("10%\r50%\r100%\ndone\r\n", 100, "100%\ndone"),
        ("\x1b[1;31mred\x1b[0m", 100, "red"),
        ("x" * 50, 10, "x" * 10),
        ("", 10, ""),
    ],
)
def test_tail(log: str, limit: int, expected: str) -> None:
    assert m.tail(log, limit) == expected


@pytest.mark.parametrize(
    ("seconds", "expected"),
    [
        (None, "–"),
        (math.nan, "–"),
        (0.0421, "42 ms"),
        (3.21, "3.2 s"),
        (9.99, "10.0 s"),
        (42.4, "42 s"),
        (60, "1 min"),
        (65, "1 min 5 s"),
        (3600, "1 h"),
        (7380, "2 h 3 min"),
        (90_000, "1 d 1 h"),
        (-65, "-1 min 5 s"),
    ],
)
def test_duration(seconds: float | None, expected: str) -> None:
    assert m.duration(seconds) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, "–"),
        (math.nan, "–"),
        (math.inf, "∞"),
        (7043, "7,043"),
        (0.84567891, "0.8457"),
        (0.5, "0.5"),
        (12345.678, "12,346"),
        (1e-9, "1e-09"),
        (-3.0, "-3"),
        (0.0, "0"),
    ],
)
def test_number(value: float | None, expected: str) -> None:
    assert m.number(value) == expected


@pytest.mark.parametrize(
    ("fraction", "expected"),
    [(0, "░░░░"), (0.5, "██░░"), (1, "████"), (7, "████"), (-1, "░░░░"), (math.nan, "░░░░")],
)
def test_bar(fraction: float, expected: str) -> None:
    assert m.bar(fraction, 4) == expected


def test_mermaid_line() -> None:
    chart = m.mermaid_line('Learning "curve" @ada', [1, 2, 3], [0.5, 0.7, math.nan], y_label="roc_auc")
    assert chart == (
        "```mermaid\nxychart-beta\n"
        '  title "Learning curve ada"\n'
        '  x-axis ["1", "2"]\n'
        '  y-axis "roc_auc" 0.49 --> 0.71\n'
        "  line [0.5, 0.7]\n```"
    )
    assert m.mermaid_line("one point", [1], [0.5]) == ""
    long = m.mermaid_line("long", list(range(1000)), [float(at) for at in range(1000)])
    assert long.count(",") < 200
    assert '"999"' in long
