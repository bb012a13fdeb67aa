"""The state machine as data: legal transitions, and the facts that each phase wants."""

from __future__ import annotations

from kfops.domain.rollout import Need, Phase

_BACK = Phase.ABORT

LEGAL: dict[Phase, frozenset[Phase]] = {
    Phase.PREPARE: frozenset({Phase.CHECK, _BACK}),
    Phase.CHECK: frozenset({Phase.GOLDEN, _BACK}),
    Phase.GOLDEN: frozenset({Phase.SHIFT, Phase.PROMOTE, _BACK}),
    Phase.SHIFT: frozenset({Phase.HOLD, Phase.PROMOTE, _BACK}),
    Phase.HOLD: frozenset({Phase.SHIFT, Phase.SHADOW, Phase.ASK, Phase.PROMOTE, _BACK}),
    Phase.SHADOW: frozenset({Phase.ASK, Phase.PROMOTE, _BACK}),
    Phase.ASK: frozenset({Phase.PROMOTE, _BACK}),
    Phase.PROMOTE: frozenset({Phase.WATCH, _BACK}),
    Phase.WATCH: frozenset({Phase.MERGE, Phase.FINISH, Phase.SHIFT, _BACK}),
    Phase.MERGE: frozenset({Phase.FINISH, Phase.SHIFT, _BACK}),
    Phase.FINISH: frozenset({Phase.DONE}),
    Phase.DONE: frozenset(),
    Phase.ABORT: frozenset({Phase.RESTORE}),
    Phase.RESTORE: frozenset({Phase.ROLLED_BACK}),
    Phase.ROLLED_BACK: frozenset(),
}

# From here the champion can still be given everything back.
CAN_GO_BACK = frozenset(phase for phase, following in LEGAL.items() if _BACK in following)
# The candidate has been checked, so a person may promote it at once.
CAN_PROMOTE = frozenset({Phase.SHIFT, Phase.HOLD, Phase.SHADOW, Phase.ASK})
# Counted and judged: users are on the candidate and a share is shown.
JUDGED = frozenset({Phase.HOLD, Phase.SHADOW, Phase.ASK, Phase.WATCH, Phase.MERGE})

NEEDS: dict[Phase, frozenset[Need]] = {
    Phase.PREPARE: frozenset({Need.READY, Need.CHAMPION_BEFORE}),
    Phase.CHECK: frozenset({Need.READY, Need.CHECK}),
    Phase.GOLDEN: frozenset({Need.READY, Need.GOLDEN}),
    Phase.SHIFT: frozenset({Need.READY, Need.WEIGHT}),
    Phase.HOLD: frozenset({Need.READY, Need.WEIGHT, Need.COUNTS}),
    Phase.SHADOW: frozenset({Need.READY, Need.WEIGHT, Need.COUNTS, Need.REPLAY}),
    Phase.ASK: frozenset({Need.READY, Need.WEIGHT, Need.COUNTS, Need.REPLAY}),
    Phase.PROMOTE: frozenset({Need.READY, Need.WEIGHT}),
    Phase.WATCH: frozenset({Need.READY, Need.WEIGHT, Need.COUNTS}),
    Phase.MERGE: frozenset({Need.READY, Need.WEIGHT, Need.COUNTS}),
    Phase.FINISH: frozenset({Need.PROMOTED}),
    Phase.DONE: frozenset(),
    Phase.ABORT: frozenset({Need.READY, Need.WEIGHT, Need.STANDSTILL}),
    Phase.RESTORE: frozenset({Need.READY, Need.WEIGHT, Need.STANDSTILL}),
    Phase.ROLLED_BACK: frozenset(),
}

# How often a replay is tried: each costs the registry and the sandbox some work.
REPLAYS = 5
