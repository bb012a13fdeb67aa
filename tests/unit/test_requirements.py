"""A requirements file of a pull request: names and versions, and nothing that says where from or how."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kfops.domain.requirements import RequirementProblem, Requirements, read_requirement, read_requirements

HASH = "a" * 64


def test_names_versions_extras_markers_and_hashes_are_taken():
    text = f"""\
# pinned by a tool
pandas==2.3.3  # the table
Scikit-Learn[alldeps] >= 1.6, < 2
numpy==2.0.0 ; python_version >= "3.11"
pyarrow==20.0.0 \\
    --hash=sha256:{HASH} \\
    --hash=sha256:{HASH}

pandas==2.3.3
"""
    read = read_requirements(text)
    assert isinstance(read, Requirements)
    assert read.lines == (
        "pandas==2.3.3",
        "Scikit-Learn[alldeps]<2,>=1.6",
        'numpy==2.0.0; python_version >= "3.11"',
        f"pyarrow==20.0.0 --hash=sha256:{HASH} --hash=sha256:{HASH}",
    )
    assert [one.name for one in read.plain()] == ["pandas", "Scikit-Learn", "numpy", "pyarrow"]


def test_an_empty_file_wants_nothing():
    assert read_requirements("\n # only words\n\r\n") == Requirements(())


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("--index-url https://evil.example/simple", "options are not taken"),
        ("--extra-index-url=https://evil.example/simple", "options are not taken"),
        ("-i https://evil.example/simple", "options are not taken"),
        ("-f ./wheels", "options are not taken"),
        ("--trusted-host evil.example", "options are not taken"),
        ("-r more.txt", "options are not taken"),
        ("-c constraints.txt", "options are not taken"),
        ("-e .", "options are not taken"),
        ("--no-binary :all:", "options are not taken"),
        ("--pre", "options are not taken"),
        ("pandas --config-settings=x=y", "options are not taken"),
        ("pandas --global-option=build", "options are not taken"),
        ("pandas==1 --hash=md5:abc", "options are not taken"),
        ("evil @ https://evil.example/evil-1-py3-none-any.whl", "addresses are not taken"),
        ("evil@https://evil.example/evil-1-py3-none-any.whl", "addresses are not taken"),
        ("https://evil.example/evil-1-py3-none-any.whl", "addresses are not taken"),
        ("git+https://evil.example/evil.git", "addresses are not taken"),
        ("git+ssh://git@evil.example/evil.git#egg=evil", "addresses are not taken"),
        ("file:///etc/passwd", "addresses are not taken"),
        ("evil @ file:///etc", "addresses are not taken"),
        (".", "paths are not taken"),
        ("./evil", "paths are not taken"),
        ("../evil", "paths are not taken"),
        ("/etc", "paths are not taken"),
        ("~/evil", "paths are not taken"),
        ("dist/evil-1-py3-none-any.whl", "paths are not taken"),
        ("evil-1-py3-none-any.whl", "paths are not taken"),
        ("C:\\evil", "paths are not taken"),
        ("evil-1.0.tar.gz", "source distribution"),
        ("./evil-1.0.zip", "source distribution"),
        ("${HOME}", "variables are not taken"),
        ("pandas==${VERSION}", "variables are not taken"),
        ("pandas == == 1", "no requirement"),
        ("two words", "no requirement"),
        ("pandas\x00", "no requirement"),
    ],
)
def test_r11_whatever_says_where_from_or_how_is_refused_with_its_line(line, why):
    read = read_requirements(f"# a comment\nnumpy\n\n{line}\npandas\n")
    assert isinstance(read, tuple)
    (problem,) = read
    assert problem.line == 4
    assert why in str(problem)
    assert str(problem).startswith("line 4: ")


def test_all_problems_are_told_at_once_and_a_continued_line_counts_where_it_begins():
    read = read_requirements("pandas \\\n  --pre\n-e .\n")
    assert [problem.line for problem in read] == [1, 3]


def test_a_file_that_is_too_large_is_refused():
    (problem,) = read_requirements("a\n" * 200_000)
    assert "more than" in str(problem)
    assert problem.line == 0


@settings(max_examples=200, deadline=None)
@given(st.text(max_size=200))
def test_r11_what_is_taken_never_has_an_option_an_address_or_a_path(text):
    read = read_requirements(text)
    if isinstance(read, Requirements):
        for line, plain in zip(read.lines, read.plain(), strict=True):
            assert plain.url is None
            assert "\n" not in line
            assert "://" not in line
            assert not line.startswith(("-", ".", "/"))
            assert read_requirement(line) == line
    else:
        assert all(isinstance(problem, RequirementProblem) for problem in read)
