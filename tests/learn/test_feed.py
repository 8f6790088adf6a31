"""The feed: the same batches for any first step, any number of readers and any number of processes."""

import itertools
import threading

import pytest
import torch
from torch import Tensor

from vitruve.errors import BadData
from vitruve.learn.feed import Feed
from vitruve.learn.order import Mixture, Order
from vitruve.learn.task import Batch, DataSet


def numbers(count: int, begin: float = 0.0, **changes) -> DataSet:
    values = torch.arange(count) + begin

    def fetch(rows: Tensor) -> Batch:
        assert rows.dtype == torch.int64 and bool((rows.diff() >= 0).all())
        return {"a": values[rows][:, None] * torch.ones(2), "known": rows % 2 == 0}

    return DataSet(**{"fetch": fetch, "count": count} | changes)


MIXED = [numbers(70, weight=2.0), numbers(9, 1000.0), numbers(31, 2000.0, weight=0.2)]


def steps(data: list[DataSet], first: int, last: int, batch: int = 6, **options) -> list[Batch]:
    order = Mixture([each.count for each in data], [each.weight for each in data], 3)
    feed = Feed(data, order, batch, first, **options)
    try:
        return [feed.next() for _ in range(first, last)]
    finally:
        feed.close()


def same(mine: list[Batch], theirs: list[Batch]) -> None:
    assert len(mine) == len(theirs)
    for a, b in zip(mine, theirs):
        assert a.keys() == b.keys() and all(torch.equal(a[key], b[key]) for key in a)


@pytest.mark.parametrize("data", [MIXED[:1], MIXED], ids=["one set", "three sets"])
def test_a_feed_begun_anywhere_gives_the_same_data(data: list[DataSet]):
    whole = steps(data, 0, 25)
    for first in (1, 7, 8, 20):
        same(steps(data, first, 25), whole[first:])
    if len(data) == 1:
        assert torch.equal(whole[0]["a"][:, 0].long(), Order(70, 3).rows(0, 6))


@pytest.mark.parametrize("readers", [2, 3])
def test_readers_do_not_change_what_is_read(readers: int):
    same(steps(MIXED, 0, 100, readers=readers), steps(MIXED, 0, 100))


def test_two_readers_fetch_at_the_same_time():
    together, calls = threading.Barrier(2, timeout=20), itertools.count()

    def fetch(rows: Tensor) -> Batch:
        if next(calls) < 2:
            together.wait()
        return {"a": rows}

    steps([DataSet(fetch, 40)], 0, 1, readers=2)


def test_shares_of_several_processes_make_up_the_step():
    whole, shares = steps(MIXED, 0, 12), [steps(MIXED, 0, 12, share=(number, 3)) for number in range(3)]
    together = [{key: torch.cat([part[key] for part in parts]) for key in parts[0]} for parts in zip(*shares)]
    same(together, whole)


def test_pinned_data_are_the_same(monkeypatch: pytest.MonkeyPatch):
    pinned = []
    monkeypatch.setattr(Tensor, "pin_memory", lambda tensor: pinned.append(tensor.shape) or tensor.clone())
    same(steps(MIXED, 0, 5, pin=True, readers=2), steps(MIXED, 0, 5))
    assert pinned[:2] == [(48, 2), (48,)]


def test_an_error_while_reading_comes_to_the_training():
    def fetch(rows: Tensor) -> Batch:
        raise BadData("torn")

    with pytest.raises(BadData, match="torn"):
        steps([DataSet(fetch, 40)], 0, 1, readers=2)


@pytest.mark.parametrize(
    "other",
    [
        lambda rows: {"a": torch.zeros(len(rows), 2)},
        lambda rows: {"a": torch.zeros(len(rows), 3), "known": rows > 0},
        lambda rows: {"a": torch.zeros(len(rows), 2), "known": rows},
        lambda rows: {"a": torch.zeros(len(rows) + 1, 2), "known": rows > 0},
    ],
    ids=["name", "shape", "type", "rows"],
)
def test_sets_that_do_not_fit_together_are_named(other):
    with pytest.raises(BadData, match="other tensors") as error:
        steps([numbers(40), DataSet(other, 40, name="second")], 0, 1)
    assert "'second'" in error.value.where


def test_a_set_alone_must_give_what_it_is_asked_for():
    with pytest.raises(BadData, match="other tensors"):
        steps([DataSet(lambda rows: {"a": torch.zeros(3)}, 40)], 0, 1)
