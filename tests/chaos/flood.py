"""Very many deliveries through the door and the inbox: shuffled, each twice or more, some with a delivery id of their own."""

from __future__ import annotations

import json
import random
from collections import Counter
from dataclasses import dataclass, replace
from itertools import islice

import sqlalchemy as sa

from kfops.adapters.sql import tables as t
from kfops.playground.state import Delivery
from kfops.webhook.signature import sign
from tests.support.world import SECRET, World, model

AT_ONCE = 50


@dataclass(frozen=True)
class Flooded:
    """`commands`: distinct ones that were said; `operations`: what the ledger made of them."""

    deliveries: int
    distinct: int
    commands: int
    operations: int
    stored: int
    answers: dict[int, int]

    @property
    def lost(self) -> int:
        return max(0, self.commands - self.operations)

    @property
    def doubled(self) -> int:
        return max(0, self.operations - self.commands)


def flood(world: World, deliveries: int, seed: int = 1) -> Flooded:
    """Of every five deliveries one is new, one brings the same comment under another id, three are repeated."""
    said = max(1, deliveries // 5)
    sample = _sample(world)
    first = [_another(sample, number, f"first-{number}") for number in range(said)]
    again = [_another(sample, number, f"again-{number}") for number in range(said)]
    chance = random.Random(seed)
    sent = [*first, *again]
    sent += chance.choices(sent, k=deliveries - len(sent))
    chance.shuffle(sent)
    before = _counted(world, t.operations)
    answers: Counter[int] = Counter()
    coming = iter(sent)
    while chunk := list(islice(coming, AT_ONCE)):
        answers.update(world.receive_together(chunk))
    stored = {one.guid for one in first + again}
    with world.ledger.database.read() as connection:
        known = {row.id for row in connection.execute(sa.select(t.deliveries.c.id))}
    return Flooded(
        len(sent),
        len(stored),
        said,
        _counted(world, t.operations) - before,
        len(stored & known),
        dict(answers),
    )


def _sample(world: World) -> Delivery:
    """A delivery as the forge really sends it."""
    number = world.pull_request("ana", model(roc_auc=0.81))
    world.is_mail_held = True
    world.comment(number, "/status", by="ana")
    found = world.mail.pop()
    world.is_mail_held = False
    return found


def _another(sample: Delivery, number: int, guid: str) -> Delivery:
    payload = json.loads(sample.body)
    payload["comment"]["id"] = 1_000_000 + number
    body = json.dumps(payload).encode()
    headers = {**sample.headers, "X-GitHub-Delivery": guid, "X-Hub-Signature-256": sign(body, SECRET)}
    return replace(sample, guid=guid, body=body, headers=headers)


def _counted(world: World, table: sa.Table) -> int:
    with world.ledger.database.read() as connection:
        return int(connection.execute(sa.select(sa.func.count()).select_from(table)).scalar_one())
