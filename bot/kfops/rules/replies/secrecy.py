"""Secrets out of text: those that are known, by value, and those that look like one (R15)."""

from __future__ import annotations

import json
import re
from base64 import b64encode
from collections.abc import Collection, Iterator
from functools import lru_cache
from urllib.parse import quote

from kfops.rules.replies.foreign import clean

MASK = "***"
_LEAST = 4  # characters; shorter values are words that occur anyhow

_WHOLE = re.compile(
    r"-----BEGIN [A-Z ]{0,30}PRIVATE KEY-----.*?(?:-----END [A-Z ]{0,30}PRIVATE KEY-----|\Z)"
    r"|(?:^[A-Za-z0-9+/=]{40,}\n)*-----END [A-Z ]{0,30}PRIVATE KEY-----"  # a key whose beginning was cut off
    r"|\bgh[opsur]_[A-Za-z0-9_-]{16,}"
    r"|\bgithub_pat_[A-Za-z0-9_]{16,}"
    r"|\bglpat-[A-Za-z0-9_-]{16,}"
    r"|\b(?:AKIA|ASIA)[A-Z0-9]{16}\b"
    r"|\bxox[abeprs]-[A-Za-z0-9-]{10,}"
    r"|\bhf_[A-Za-z0-9]{20,}"
    r"|\bsk-[A-Za-z0-9_-]{20,}"
    r"|\bpypi-[A-Za-z0-9_-]{50,}"
    r"|\bAIza[A-Za-z0-9_-]{35}"
    r"|\beyJ[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}\.[A-Za-z0-9_-]{10,}",
    re.DOTALL | re.MULTILINE,
)
_AFTER_A_NAME = re.compile(
    r"(\b[\w.-]{0,60}(?:password|passwd|secret|token|api[_-]?key|access[_-]?key)[\"']?\s{0,3}[=:]\s{0,3}[\"']?)"
    r"([^\s\"',;]{8,})",
    re.IGNORECASE,
)
_AUTHORIZATION = re.compile(r"(\b(?:bearer|basic|token)\s{1,3})([A-Za-z0-9._~+/=-]{12,})", re.IGNORECASE)
# After `user:` up to the last @, for people paste passwords with @ and / as they are. What a URL's own grammar reads as
# a port is no password, and a digest's @ ends none.
_IN_A_URL = re.compile(
    r"(\b[a-z][a-z0-9+.-]{1,20}://)(?:"
    r"(?!\[)[^\s:/?#\"'<>]{0,200}:(?!\d{1,5}[/?#,])(?:(?!://)[^\s\"'<>]){1,2000}"
    r"|(?!@)[^\s/?#@:]{0,400}(?::(?!\d{1,5}[/?#])[^\s/@]{0,400})?"
    r")@(?!sha256:)",
    re.IGNORECASE,
)


def mask(text: str, secrets: Collection[str]) -> str:
    """`secrets`: values known to be secret; their lines and their usual encodings are masked too. Longest first.

    The text is cleaned before: characters that are removed later must not hide a secret now.
    """
    text = clean(text)
    for value in _every_form(tuple(secrets)):
        text = text.replace(value, MASK)
    text = _WHOLE.sub(MASK, text)
    text = _IN_A_URL.sub(rf"\1{MASK}@", text)
    text = _AUTHORIZATION.sub(rf"\1{MASK}", text)
    return _AFTER_A_NAME.sub(rf"\1{MASK}", text)


@lru_cache(maxsize=16)  # a reply masks hundreds of texts
def _every_form(secrets: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(sorted({form for secret in secrets for form in _forms(secret)}, key=len, reverse=True))


def _forms(secret: str) -> Iterator[str]:
    for part in {secret, secret.strip(), *secret.splitlines()}:
        if len(part) < _LEAST:
            continue
        encoded = b64encode(part.encode(errors="replace")).decode()
        yield from (part, quote(part, safe="", errors="replace"), json.dumps(part)[1:-1], encoded)
