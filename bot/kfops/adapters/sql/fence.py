"""The fence: what an operation's worker writes is written only while the claim that it has is the last one (R14)."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from kfops.adapters.sql import tables as t
from kfops.domain.operation import Operation
from kfops.ports.ledger import Fenced

o = t.operations.c
THIS = sa.bindparam("this", type_=sa.BigInteger())
FENCED = sa.update(t.operations).where(o.id == THIS, o.fence == sa.bindparam("held"), o.owner.is_not(None))


def fenced(connection: Connection, claim: Operation, how: sa.Update = FENCED, **values: Any) -> None:
    """Go on with this transaction only while the fence is ours. The fence itself is written: the row stays locked."""
    held = {"this": claim.id, "held": claim.fence, "fence": claim.fence}
    if connection.execute(how, held | values).rowcount != 1:
        raise Fenced(f"operation {claim.id} was taken over (fence {claim.fence})")


def fenced_if(connection: Connection, claim: Operation | None) -> None:
    """None: who writes is no operation, but an operator, or a repair that has a lock of its own."""
    if claim is not None:
        fenced(connection, claim)
