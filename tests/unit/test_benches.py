"""The benches run: in small, and without a word on how fast this machine is."""

from __future__ import annotations

from tests.bench import ledger, open_operations, start, webhook
from tests.bench.deliveries import comment
from tests.bench.figures import Figure, percentile


def test_a_figure_says_whether_its_bound_is_kept():
    assert "at most 0.15: kept (0.467 of it)" in Figure("kfc --help", 0.07, "s", 0.15).line()
    assert "at most 2: MISSED (1.5 of it)" in Figure("p99", 3, "x", 2).line()
    assert "at least 0.5: MISSED" in Figure("req/s", 0.4, "x", 0.5, at_least=True).line()
    assert "bound" not in Figure("bare", 0.01, "s").line()


def test_a_percentile_is_one_of_the_values():
    assert percentile([3.0, 1.0, 2.0], 0.5) == 2.0
    assert percentile(list(range(100)), 0.99) == 99


def test_the_commands_start():
    assert [figure.value > 0 for figure in start.run(1)] == [True, True, True]


def test_every_operation_goes_through_the_ledger():
    figures = ledger.on_sqlite(1, 4)
    assert [figure.name for figure in figures if figure.value > 0] == [
        f"SQLite, {workers} worker{plural}: {what}"
        for workers, plural in (("one", ""), ("four", "s"))
        for what in ("operations", "steps")
    ]


def test_among_open_operations_the_followed_ones_are_looked_at():
    looked_at = open_operations.run(1.5, opened=200, followed=4, warm_up_s=0)[0]
    assert looked_at.value > 0


def test_what_was_acknowledged_is_stored(tmp_path):
    body = tmp_path / "comment.json"
    body.write_bytes(comment(tmp_path / "made", "This looks good to me."))
    bot = webhook.Receiver("kfops", "kfops", webhook.start_kfops, body)

    assert webhook.measure(bot, tmp_path, 2, 0.1, 0.2)["requests"] > 0
