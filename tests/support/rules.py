"""The rules of trust and the tests that carry their numbers; `make rules` prints the list and fails on a gap.

A test carries a number in its name: `test_r6_…`, or several: `test_r5_r6_…`. A rule needs both kinds of test: one that
shows what it lets through, and one that shows what it stops. Which kind a test is, its name says in ordinary words;
a table of cases (`who`, `what`, `which`, `whose`) is both.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.support.sentences import CLAUSES

ROOT = Path(__file__).parents[2]
RULES = {
    "R1": "a delivery is signed, small, and of a repository that is served",
    "R2": "a delivery and its commands are stored in one transaction before they are answered",
    "R3": "what the forge lost is found again; what cannot be undone is not done late",
    "R4": "commands come from new comments alone; one grammar and one validator at every door",
    "R5": "a person asks, and the comment still says it before anything that cannot be undone",
    "R6": "roles are asked live, by numeric id; an error is a no; an approval is somebody else's",
    "R7": "a command means the commit that was the head when it came",
    "R8": "everything is read again before traffic is shifted, before the promotion and before the merge",
    "R8b": "an approval counts for its commit, as the latest of somebody who may write",
    "R9": "a fork runs at one commit that a writer allowed, and is never deployed",
    "R10": "rules come from the default branch, and a repository reaches only what the policy gives it",
    "R11": "code of a pull request runs in the sandbox alone, and what it writes is hostile",
    "R12": "only the ledger decides",
    "R13": "what serves is what was trained: the same digest all the way",
    "R14": "locks are owned, leased and fenced",
    "R15": "foreign text is shown without effect, and secrets are not shown",
    "R16": "required checks: all pages, the newest, unknown is no, the bot's own excluded",
    "R17": "least privilege: tokens for one repository and purpose, in headers alone",
    "R18": "everything outside reaches a final state",
    "R19": "force needs a role and a reason, and skips only what it names",
    "R20": "a rollback goes to a recorded digest, and still takes the lock and the check",
    "R21": "pages ask the commands' own authoriser, and reading changes nothing",
}
_DEFINED = re.compile(r"\s*(?:async )?def (test_\w+)\(")
_NUMBERS = re.compile(r"test((?:_r\d+b?)+)_")
_STOPS = re.compile(
    r"_(?:no|not|never|none|nothing|nobody|neither|un|refuse[sd]?|without|cannot|outside|past|gone|late|only|alone|wrong"
    r"|malformed|unknown|errors?|away|unless|out|less|hostile|masked|neutralised|poke|stops|lost|ends?|removed|others?"
    r"|whoever|skips|damaged|changed|missing|stale|limits?|limited|foreign|fenced|paused)_"
)
_TABLES = re.compile(r"_(?:who|what|whatever|which|whose|how|where|when|every|any)_")


@dataclass(frozen=True)
class Carried:
    """A test, and whether it shows what its rules let through (`allows`), stop (`refuses`), or both."""

    place: str
    name: str
    rules: tuple[str, ...]
    allows: bool
    refuses: bool


def carried(root: Path = ROOT) -> tuple[Carried, ...]:
    return tuple(one for path in sorted((root / "tests").rglob("test_*.py")) for one in _of_file(path, root))


def _of_file(path: Path, root: Path) -> Iterator[Carried]:
    for number, line in enumerate(path.read_text().splitlines(), start=1):
        defined = _DEFINED.match(line)
        numbers = _NUMBERS.match(defined[1]) if defined else None
        if defined and numbers:
            rules = tuple(f"R{one[1:]}" for one in numbers[1].strip("_").split("_"))
            words = f"_{defined[1][numbers.end() :]}_"
            is_table, stops = _TABLES.search(words) is not None, _STOPS.search(words) is not None
            place = f"{path.relative_to(root)}:{number}"
            yield Carried(place, defined[1], rules, allows=is_table or not stops, refuses=is_table or stops)


def gaps(tests: tuple[Carried, ...]) -> list[str]:
    """What is missing, in sentences."""
    found = []
    for rule in RULES:
        mine = [one for one in tests if rule in one.rules]
        if not mine:
            found.append(f"{rule}: no test carries its number")
        elif not any(one.allows for one in mine):
            found.append(f"{rule}: no test shows what it lets through")
        elif not any(one.refuses for one in mine):
            found.append(f"{rule}: no test shows what it stops")
    names = {one.name: one.rules for one in tests}
    for rule, clauses in CLAUSES.items():
        for clause, proofs in clauses.items():
            lost = [name for name in proofs if rule not in names.get(name, ())]
            found += [f"{rule}: {name}, which proves “{clause}”, is not there" for name in lost]
    strange = {rule for one in tests for rule in one.rules} - RULES.keys()
    return found + [f"{rule}: there is no such rule" for rule in sorted(strange)]


def listed(tests: tuple[Carried, ...]) -> Iterator[str]:
    """`+` shows what the rule lets through, `-` what it stops."""
    for rule, meaning in RULES.items():
        mine = [one for one in tests if rule in one.rules]
        yield f"{rule:4} {meaning} ({len(mine)})"
        for clause, proofs in CLAUSES.get(rule, {}).items():
            yield f"     * {clause}: {', '.join(proofs)}"
        for one in mine:
            signs = ("+" if one.allows else " ") + ("-" if one.refuses else " ")
            yield f"   {signs} {one.name}  {one.place}"


def main() -> int:
    tests = carried()
    print("\n".join(listed(tests)))
    missing = gaps(tests)
    print(f"\n{len(RULES)} rules, {len(tests)} tests carry their numbers, {len(missing)} gaps")
    print("\n".join(missing))
    return 1 if missing else 0


if __name__ == "__main__":
    sys.exit(main())
