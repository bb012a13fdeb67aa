"""A pull request's whole post, every delivery twice and in any order: each command is carried out once, on its commit."""

from __future__ import annotations

import random

from tests.chaos.interleavings import Tried, unpinned
from tests.chaos.invariants import Invariants
from tests.chaos.stories import Shelf


def shuffle(shelf: Shelf, seed: int) -> Tried:
    """Two commands, a push and a third command, delivered shuffled and doubled."""
    shelf.set_up("trained")
    world = shelf.world
    world.is_mail_held = True
    for text in ("/build", "/help"):
        world.comment(1, text, by="ana")
    world.push(1, {"README.md": "pushed\n"})
    world.comment(1, "/status", by="bo")
    post = [*world.mail, *world.mail]
    random.Random(seed).shuffle(post)
    world.mail.clear()
    world.is_mail_held = False
    before = len(world.operations())
    answers = [world.receive(one) for one in post]
    invariants = Invariants(world)
    for _ in world.walk():
        invariants.look()
    invariants.end()
    made = len(world.operations()) - before
    return Tried(
        "a shuffled post",
        f"seed {seed}",
        lost=(f"{3 - made} commands",) if made < 3 else (),
        doubled=(f"{made - 3} commands",) if made > 3 else (),
        unpinned=unpinned(world),
        broken=(*invariants.broken, *(f"answered {one}" for one in answers if one != 202)),
    )
