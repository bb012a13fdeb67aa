"""Deliveries that wait together share a transaction; each is answered after it, and for itself."""

from __future__ import annotations

import asyncio
import threading
from datetime import UTC, datetime

import pytest

from kfops.ports.errors import Unavailable
from kfops.ports.ledger import Arrival
from kfops.webhook.writer import Writer

NOW = datetime(2026, 11, 21, 9, tzinfo=UTC)


def arrival(delivery: str) -> Arrival:
    return Arrival(delivery, "ping", "0f", NOW)


class Book:
    """An inbox that refuses `bad`, and can be held up."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.open = threading.Event()
        self.open.set()
        self.reached = threading.Event()
        self.is_away = False

    def accept(self, arrivals):
        names = [one.delivery_id for one in arrivals]
        self.batches.append(names)
        self.reached.set()
        self.open.wait(timeout=10)
        if self.is_away:
            raise Unavailable("no disk")
        if "bad" in names:
            raise ValueError("bad")


@pytest.fixture
def book():
    return Book()


@pytest.fixture
def writer(book):
    made = Writer(book)
    yield made
    book.open.set()
    made.close()


async def together(writer: Writer, book: Book, *names: str):
    """`first` holds the writer up until the others wait behind it."""
    book.open.clear()
    first = asyncio.create_task(writer.store(arrival("first")))
    await asyncio.to_thread(book.reached.wait, 10)
    others = [asyncio.create_task(writer.store(arrival(name))) for name in names]
    await asyncio.sleep(0)  # each task runs up to where it waits
    return first, others


def test_r2_those_that_wait_together_share_one_transaction(writer, book):
    async def story():
        first, others = await together(writer, book, "a", "b", "c")
        book.open.set()
        await asyncio.gather(first, *others)

    asyncio.run(story())

    assert book.batches == [["first"], ["a", "b", "c"]]


def test_r2_one_that_cannot_be_stored_does_not_take_the_others_with_it(writer, book):
    async def story():
        first, others = await together(writer, book, "a", "bad", "c")
        book.open.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    _, a, bad, c = asyncio.run(story())

    assert (a, c) == (None, None)
    assert isinstance(bad, ValueError)
    assert book.batches[2:] == [["a"], ["bad"], ["c"]]


def test_a_ledger_that_is_away_is_told_to_all_and_asked_once(writer, book):
    book.is_away = True

    async def story():
        first, others = await together(writer, book, "a", "b")
        book.open.set()
        return await asyncio.gather(first, *others, return_exceptions=True)

    assert all(isinstance(one, Unavailable) for one in asyncio.run(story()))
    assert len(book.batches) == 2


def test_r2_a_caller_who_is_gone_neither_loses_the_delivery_nor_ends_the_writer(writer, book):
    async def story():
        first, [waiting] = await together(writer, book, "a")
        first.cancel()
        waiting.cancel()
        await asyncio.gather(first, waiting, return_exceptions=True)
        book.open.set()
        await writer.store(arrival("later"))

    asyncio.run(story())

    assert [name for batch in book.batches for name in batch] == ["first", "a", "later"]
