"""The order of the data: every row once a round, and a function of seed and place alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.learn.order import Feed, Order, seed_of


@settings(deadline=None, max_examples=40)
@given(st.integers(1, 50), st.integers(0, 5), st.integers(0, 120), st.integers(0, 60), st.integers(0, 60))
def test_the_order_does_not_depend_on_how_it_is_asked_for(count: int, seed: int, start: int, first: int, second: int):
    whole = Order(count, seed).rows(start, start + first + second + 1)
    order = Order(count, seed)
    later = order.rows(start + first, start + first + second + 1)
    assert torch.equal(torch.cat([order.rows(start, start + first), later]) if first else later, whole)


@settings(deadline=None, max_examples=20)
@given(st.integers(1, 60), st.integers(0, 3), st.integers(0, 1000))
def test_every_round_has_every_row_once(count: int, number: int, seed: int):
    rows = Order(count, seed).rows(number * count, (number + 1) * count)
    assert rows.sort().values.tolist() == list(range(count))


def test_rounds_and_seeds_differ():
    order = Order(1000, 0)
    assert not torch.equal(order.rows(0, 1000), order.rows(1000, 2000))
    assert not torch.equal(order.rows(0, 1000), Order(1000, 1).rows(0, 1000))
    assert len({seed_of(*parts) for parts in ((1, 12), (11, 2), ("1", 12, 0), (112,))}) == 4


def test_a_feed_begun_anywhere_gives_the_same_data():
    data = torch.arange(70.0)[:, None] * torch.ones(2)
    whole = Feed(lambda rows: data[rows], Order(70, 3), 6, 0)
    steps = [whole.next() for _ in range(25)]
    whole.close()
    for first in (1, 7, 8, 20):
        feed = Feed(lambda rows: data[rows], Order(70, 3), 6, first)
        for step in range(first, 25):
            assert torch.equal(feed.next(), steps[step])
        feed.close()
    assert torch.equal(steps[0], data[Order(70, 3).rows(0, 6)])


def test_shares_of_several_processes_make_up_the_step():
    data = torch.arange(40.0)
    feeds = [Feed(lambda rows: data[rows], Order(40, 0), 6, 0, (number, 3)) for number in range(3)]
    for step in range(12):
        together = torch.cat([feed.next() for feed in feeds])
        assert torch.equal(together, data[Order(40, 0).rows(6 * step, 6 * step + 6)])
    for feed in feeds:
        feed.close()
