"""Blocks of work on the processor's threads.

Many small tensor operations with several threads inside each wait for one another at every operation as soon as the
machine does anything else. One thread for each block of frames, with torch at a single thread inside, keeps every core
busy instead.

A sum that several threads share is rounded by how many they are, so what is not done in blocks, such as bringing two
bodies together, is done by a single thread: results do not depend on the number of threads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TypeVar

import torch

Block = TypeVar("Block")
Result = TypeVar("Result")


# How many threads `over_threads` takes where torch is held at one.
_for_blocks: ContextVar[int] = ContextVar("_for_blocks", default=1)


def over_threads(work: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    """The results of `work` for every block, in order, on as many threads as torch is set to use.

    No gradients are recorded. An error in one block is raised once those that have begun are
    done; the rest are left.
    """
    with one_torch_thread() as threads:
        return _over(max(threads, _for_blocks.get()), work, blocks)


@contextmanager
def one_torch_thread() -> Iterator[int]:
    """Torch works with a single thread inside of the block; what is given is how many it had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


@contextmanager
def one_thread_but_for_blocks() -> Iterator[None]:
    """As `one_torch_thread`, but `over_threads` inside still takes as many threads as torch had."""
    with one_torch_thread() as threads:
        token = _for_blocks.set(max(threads, _for_blocks.get()))
        try:
            yield
        finally:
            _for_blocks.reset(token)


def _over(threads: int, work: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    def quietly(block: Block) -> Result:
        with torch.no_grad():  # a setting of each thread
            return work(block)

    if threads == 1 or len(blocks) <= 1:
        return [quietly(block) for block in blocks]
    with ThreadPoolExecutor(min(threads, len(blocks))) as pool:
        return list(pool.map(quietly, blocks))
