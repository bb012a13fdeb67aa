"""Was this delivery signed by who knows the secret (R1)? Asked over the raw bytes, before anything reads them."""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Sequence

_HEADER = re.compile(r"sha256=[0-9a-f]{64}")


def is_signed(raw: bytes, header: str | None, secrets: Sequence[str]) -> bool:
    """By any of the secrets; there are two while one is being exchanged for the other. `header`: X-Hub-Signature-256.

    Takes the same time whichever secret fits and wherever the signatures differ. An empty secret is none: anybody
    could sign with it.
    """
    if header is None or not _HEADER.fullmatch(header):
        return False
    fits = [hmac.compare_digest(sign(raw, secret), header) for secret in secrets if secret]
    return any(fits)


def sign(raw: bytes, secret: str) -> str:
    """The value of X-Hub-Signature-256."""
    return f"sha256={hmac.new(secret.encode(), raw, hashlib.sha256).hexdigest()}"
