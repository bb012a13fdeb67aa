"""A fault of CPython before 3.11.8, mended for the tests: pytest and hypothesis read sources while other threads work.

All threads that make syntax trees share one counter of depth there, and the garbage collector may let another thread in
half-way (gh-106905): a "SystemError: AST constructor recursion depth mismatch" that says nothing of the code in hand.
"""

from __future__ import annotations

import ast
import gc
import sys
import threading
from functools import wraps
from typing import Any

_MENDED_IN = (3, 11, 8)
_one_at_a_time = threading.RLock()


def mend() -> None:
    """From now on `ast.parse` is not interrupted."""
    if sys.version_info[:3] >= _MENDED_IN:
        return
    parse = ast.parse

    @wraps(parse)
    def uninterrupted(*given: Any, **named: Any) -> Any:
        with _one_at_a_time:
            was_on = gc.isenabled()
            gc.disable()
            try:
                return parse(*given, **named)
            finally:
                if was_on:
                    gc.enable()

    ast.parse = uninterrupted
