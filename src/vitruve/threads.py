"""Run blocks of frames on threads, with torch held at one thread inside each.

Torch's own threads synchronise at every small operation and stall as soon as the machine is busy with anything else.
One thread per block of frames keeps every core busy.

The rounding of a sum depends on the number of threads that share it. Work that is not split into blocks, such as the
registration of two bodies, runs on a single thread, so that results do not depend on the number of threads.
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


# How many threads `over_threads` uses while torch is held at one.
_for_blocks: ContextVar[int] = ContextVar("_for_blocks", default=1)


def over_threads(work: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    """The results of `work` for every block, in order, on as many threads as torch is set to use.

    No gradients are recorded. After an error in one block, running blocks finish, no new ones start, and the error is
    raised.
    """
    with one_torch_thread() as threads:
        return _over(max(threads, _for_blocks.get()), work, blocks)


@contextmanager
def one_torch_thread() -> Iterator[int]:
    """Hold torch at a single thread inside the block; yields how many it had."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield threads
    finally:
        torch.set_num_threads(threads)


@contextmanager
def one_thread_but_for_blocks() -> Iterator[None]:
    """Like `one_torch_thread`, but `over_threads` inside still uses as many threads as torch had."""
    with one_torch_thread() as threads:
        token = _for_blocks.set(max(threads, _for_blocks.get()))
        try:
            yield
        finally:
            _for_blocks.reset(token)


def _over(threads: int, work: Callable[[Block], Result], blocks: Sequence[Block]) -> list[Result]:
    def without_gradients(block: Block) -> Result:
        with torch.no_grad():  # a setting per thread
            return work(block)

    if threads == 1 or len(blocks) <= 1:
        return [without_gradients(block) for block in blocks]
    with ThreadPoolExecutor(min(threads, len(blocks))) as pool:
        return list(pool.map(without_gradients, blocks))
