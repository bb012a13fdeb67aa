"""What a name, a commit and a free value may look like (trust rule R4): one place for every door.

The comment, the command line, `kfops.yaml` and the ledger all ask here, so a value that one of them lets in is a
value that all of them understand. ASCII only: two names that look alike are the same name.
"""

from __future__ import annotations

import re

_IDENTIFIER = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DNS_LABEL = re.compile(r"[a-z](?:[-a-z0-9]{0,61}[a-z0-9])?")
_COMMIT = re.compile(r"[0-9a-f]{40}(?:[0-9a-f]{24})?")
_COMMIT_PREFIX = re.compile(r"[0-9a-f]{12,64}")
_NUMBER = re.compile(r"[1-9][0-9]{0,17}")
_CONTROL = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)

IDENTIFIER_RULE = (
    "letters, digits, '.', '_' and '-', starting with a letter or a digit, at most 63 characters"
)
DNS_LABEL_RULE = "lower-case letters, digits and '-', starting with a letter, at most 63 characters"
COMMIT_RULE = "a full commit sha: 40 hexadecimal digits, lower case"
COMMIT_PREFIX_RULE = "a commit sha: its first 12 hexadecimal digits or more, lower case"
NUMBER_RULE = "a positive whole number"
LONGEST_VALUE = 1024
VALUE_RULE = f"text without control characters, at most {LONGEST_VALUE} characters"


class InvalidValue(ValueError):  # noqa: N818 - named for what it is about
    """A value that no command may carry. `field` names the part, `expected` says what would have done."""

    def __init__(self, field: str, found: str, expected: str) -> None:
        super().__init__(f"{field}: found {shown(found)}, expected {expected}")
        self.field = field
        self.found = found
        self.expected = expected


def is_identifier(text: str) -> bool:
    return _IDENTIFIER.fullmatch(text) is not None


def is_dns_label(text: str) -> bool:
    return _DNS_LABEL.fullmatch(text) is not None


def is_commit(text: str) -> bool:
    """Full shas only (SHA-1 or SHA-256): an abbreviation can be made to collide."""
    return _COMMIT.fullmatch(text) is not None


def is_value(text: str) -> bool:
    return len(text) <= LONGEST_VALUE and _CONTROL.search(text) is None


def identifier(field: str, text: object) -> str:
    """`text`, or InvalidValue."""
    if not isinstance(text, str) or not is_identifier(text):
        raise InvalidValue(field, str(text), IDENTIFIER_RULE)
    return text


def commit(field: str, text: object) -> str:
    if not isinstance(text, str) or not is_commit(text):
        raise InvalidValue(field, str(text), COMMIT_RULE)
    return text


def commit_prefix(field: str, text: object) -> str:
    """Enough of a sha to compare with a commit that is known already; shorter ones are made to match too easily."""
    if not isinstance(text, str) or _COMMIT_PREFIX.fullmatch(text) is None:
        raise InvalidValue(field, str(text), COMMIT_PREFIX_RULE)
    return text


def number(field: str, text: object) -> str:
    if not isinstance(text, str) or _NUMBER.fullmatch(text) is None:
        raise InvalidValue(field, str(text), NUMBER_RULE)
    return text


def value(field: str, text: object) -> str:
    if not isinstance(text, str) or not is_value(text):
        raise InvalidValue(field, str(text), VALUE_RULE)
    return text


def shown(text: str, longest: int = 40) -> str:
    """Somebody else's text inside a sentence of ours: short, on one line, in quotation marks.

    Whoever renders the sentence still escapes it for where it goes (R15).
    """
    plain = _CONTROL.sub("\N{REPLACEMENT CHARACTER}", text)
    return f"“{plain if len(plain) <= longest else plain[: longest - 1] + '…'}”"
