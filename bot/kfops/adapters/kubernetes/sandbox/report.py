"""What a sandbox's pod wrote, read as the foreign text that it is: between two markers, bounded, checked. Pure."""

from __future__ import annotations

import base64
import binascii
import hashlib
import json
import re
import zlib
from dataclasses import dataclass
from typing import Any

LARGEST_LOG = 10 << 20
_FRAME = re.compile(
    r"^-----BEGIN KFOPS REPORT-----\n([A-Za-z0-9+/=\n]*)\n"
    r"-----END KFOPS REPORT (\d{1,9}) ([0-9a-f]{64})-----$",
    re.MULTILINE,
)
_LONGEST_TAIL = 4000


@dataclass(frozen=True)
class Report:
    """`code` None: its time was up. `answer` None: it gave none, or none that is a JSON object. All of it is foreign."""

    code: int | None
    answer: dict[str, Any] | None
    log_tail: str
    is_too_large: bool = False


def read_report(log: str, *, largest_answer: int) -> Report | str:
    """Why there is none, where there is none: a marker is missing, size or digest are other than said, too large."""
    if len(log) > LARGEST_LOG:
        return f"its log has more than {LARGEST_LOG >> 20} MiB"
    frames = _FRAME.findall(log)
    if len(frames) != 1:
        return "its report is not there" if not frames else "there is more than one report"
    text, size, digest = frames[0]
    try:
        content = base64.b64decode(text.replace("\n", ""), validate=True)
    except binascii.Error:
        return "its report is torn"
    if len(content) != int(size) or hashlib.sha256(content).hexdigest() != digest:
        return "its report is torn"
    whole = _inflated(content, 6 * largest_answer + (1 << 20))  # JSON may write a character as six
    return "its report is not readable" if whole is None else _understood(whole, largest_answer)


def _inflated(content: bytes, most: int) -> bytes | None:
    """None where it is none, or would be more: a small file may inflate to any size."""
    inflating = zlib.decompressobj()
    try:
        whole = inflating.decompress(content, most)
    except zlib.error:
        return None
    return whole if inflating.eof else None


def _understood(whole: bytes, largest_answer: int) -> Report | str:
    said = _object(whole)
    if said is None:
        return "its report is not readable"
    code, answer, log = said.get("code"), said.get("answer"), said.get("log")
    if code is not None and type(code) is not int:
        return "its report is not readable"
    tail = log[-_LONGEST_TAIL:] if isinstance(log, str) else ""
    if said.get("is_too_large") is True or (isinstance(answer, str) and len(answer) > largest_answer):
        return Report(code, None, tail, is_too_large=True)
    return Report(code, _object(answer) if isinstance(answer, str) else None, tail)


def _object(text: str | bytes) -> dict[str, Any] | None:
    try:
        content = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return content if isinstance(content, dict) else None
