"""Blocks of work on the processor's threads.

Many small tensor operations with several threads inside each wait for one another at every operation as soon as the
machine does anything else. One thread for each block of frames, with torch at a single thread inside, keeps every core
busy instead.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import torch

Block = TypeVar("Block")
Result = TypeVar("Result")


def over_threads(work: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    """The results of `work` for every block, in order, on as many threads as torch is set to use.

    No gradients are recorded. An error in one block is raised once those that have begun are
    done; the rest are left.
    """
    with one_torch_thread() as threads:
        return _over(threads, work, blocks)


@contextmanager
def one_torch_thread() -> Iterator[int]:
    """Torch works with a single thread inside of the block; what is given is how many it had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


def _over(threads: int, work: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    def quietly(block: Block) -> Result:
        with torch.no_grad():  # a setting of each thread
            return work(block)

    if threads == 1 or len(blocks) <= 1:
        return [quietly(block) for block in blocks]
    with ThreadPoolExecutor(min(threads, len(blocks))) as pool:
        return list(pool.map(quietly, blocks))
