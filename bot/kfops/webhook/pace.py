"""How this process shares its time, so that whoever waits for an answer waits evenly."""

from __future__ import annotations

import gc
import sys

_SWITCH_S = 0.0005
_YOUNG = 20_000


def steady() -> None:
    """To be called once everything is loaded, before the first request.

    A thread waits up to five milliseconds for another by default; storing a delivery hands over several times. What
    was loaded stays for good and is not looked through for garbage again and again: that stops all threads for long.
    """
    sys.setswitchinterval(_SWITCH_S)
    gc.collect()
    gc.freeze()
    _, older, oldest = gc.get_threshold()
    gc.set_threshold(_YOUNG, older, oldest)
