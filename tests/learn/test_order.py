"""The order of the data: every row once a round, and a function of seed and place alone."""

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.learn.order import Mixture, Order, seed_of


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


MIXED = ((50, 3.0), (7, 1.0), (1000, 0.5))


def mixture(seed: int = 0) -> Mixture:
    return Mixture([count for count, _ in MIXED], [weight for _, weight in MIXED], seed)


@settings(deadline=None, max_examples=40)
@given(st.integers(0, 9000), st.integers(0, 60), st.integers(1, 5000))
def test_a_mixture_does_not_depend_on_how_it_is_asked_for(start: int, first: int, second: int):
    whole = mixture().rows(start, start + first + second)
    parts = [mixture().rows(start, start + first), mixture().rows(start + first, start + first + second)]
    for side in (0, 1):
        assert torch.equal(torch.cat([part[side] for part in parts]), whole[side])


def test_every_set_of_a_mixture_is_seen_whole_before_it_repeats():
    sets, rows = mixture().rows(0, 20_000)
    for number, (count, _) in enumerate(MIXED):
        mine = rows[sets == number]
        assert len(mine) > count
        for start in range(0, len(mine) - count, count):
            assert mine[start : start + count].sort().values.tolist() == list(range(count))
    assert not torch.equal(rows[sets == 0][:50], rows[sets == 0][50:100])


@settings(deadline=None, max_examples=30)
@given(st.lists(st.floats(0.01, 10.0), min_size=1, max_size=6), st.integers(0, 10_000), st.integers(1, 3000))
def test_any_stretch_of_a_mixture_follows_the_weights(weights: list[float], start: int, length: int):
    sets, _ = Mixture([10] * len(weights), weights, 0).rows(start, start + length)
    for number, weight in enumerate(weights):
        expected = length * weight / sum(weights)
        assert abs(int((sets == number).sum()) - expected) <= 2 + length / 1000


def test_a_mixture_of_one_set_is_its_order():
    assert torch.equal(Mixture([70], [2.0], 3).rows(5, 300)[1], Order(70, 3).rows(5, 300))


def test_sets_of_one_size_are_not_in_the_same_order():
    sets, rows = Mixture([100, 100], [1.0, 1.0], 0).rows(0, 200)
    assert not torch.equal(rows[sets == 0], rows[sets == 1])
