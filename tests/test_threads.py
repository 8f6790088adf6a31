"""Work is shared by threads in order, and torch has its number of them back afterwards, whatever happened."""

import pytest
import torch

from vitruve.threads import one_torch_thread, over_threads


@pytest.fixture(autouse=True)
def two_threads():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    yield
    torch.set_num_threads(before)


@pytest.mark.parametrize("blocks", [0, 1, 7])
def test_results_come_in_order_and_without_gradients(blocks):
    weight = torch.ones(3, requires_grad=True)

    def work(block: int) -> tuple[int, int, bool]:
        return block, torch.get_num_threads(), (weight * block).requires_grad

    assert over_threads(work, range(blocks)) == [(block, 1, False) for block in range(blocks)]
    assert torch.get_num_threads() == 2


def test_an_error_in_one_block_is_raised_and_threads_are_given_back():
    def work(block: int) -> None:
        if block == 1:
            raise ValueError("block 1")

    with pytest.raises(ValueError, match="block 1"):
        over_threads(work, range(4))
    assert torch.get_num_threads() == 2


def test_one_thread_inside_of_the_block_alone():
    with one_torch_thread() as before:
        assert before == 2 and torch.get_num_threads() == 1
    assert torch.get_num_threads() == 2
