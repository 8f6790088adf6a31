"""In which order data are seen: a function of seed and step alone, so that a run goes on where it was stopped."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor

import numpy as np
import torch
from torch import Tensor

# How many steps' data are fetched at once: many small reads cost more than one large one.
_AHEAD = 8


def seed_of(*parts: int | str) -> int:
    """A seed for a random generator from some numbers and names; other parts give an unrelated seed."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


class Order:
    """Rows 0 to count - 1, shuffled anew each time all were seen, as one endless row.

    Args:
        count: rows there are.
        seed: another seed gives another order.
    """

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._round, self._shuffled = -1, np.empty(0, np.int64)

    def rows(self, start: int, stop: int) -> Tensor:
        """The places from `start` to `stop` of the endless row."""
        parts = []
        while start < stop:
            place = start % self.count
            length = min(stop - start, self.count - place)
            parts.append(self._permutation(start // self.count)[place : place + length])
            start += length
        return torch.from_numpy(np.concatenate(parts).astype(np.int64))

    def _permutation(self, number: int) -> np.ndarray:
        if number != self._round:
            generator = np.random.Generator(np.random.Philox(seed_of("order", self.seed, number)))
            kind = np.int32 if self.count < 2**31 else np.int64
            self._round, self._shuffled = number, generator.permutation(np.arange(self.count, dtype=kind))
        return self._shuffled


class Feed:
    """The data of one step after another, read in the background.

    Args:
        fetch: gives the data of rows, first axis as the rows.
        order: which rows.
        batch: rows a step, over all processes.
        step: the first step.
        share: (number of this process, how many there are): each takes its part of every step.

    Attributes:
        waited: seconds that `next` has waited for data.
    """

    def __init__(
        self, fetch: Callable[[Tensor], Tensor], order: Order, batch: int, step: int, share: tuple[int, int] = (0, 1)
    ) -> None:
        self._fetch, self._order, self._batch, self._share = fetch, order, batch, share
        self._step, self._block, self._first = step, torch.empty(0), step
        self.waited = 0.0
        self._pool = ThreadPoolExecutor(1)
        self._coming: Future[Tensor] = self._pool.submit(self._read, step)

    def next(self) -> Tensor:
        """The data of the next step."""
        place = self._step - self._first
        size = self._size()
        if place * size >= len(self._block):
            clock = time.perf_counter()
            self._block, self._first, place = self._coming.result(), self._step, 0
            self.waited += time.perf_counter() - clock
            self._coming = self._pool.submit(self._read, self._first + len(self._block) // size)
        self._step += 1
        return self._block[place * size : (place + 1) * size]

    def close(self) -> None:
        """Stop reading."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _size(self) -> int:
        return self._batch // self._share[1]

    def _read(self, step: int) -> Tensor:
        size, number = self._size(), self._share[0]
        rows = self._order.rows(step * self._batch, (step + _AHEAD) * self._batch).view(_AHEAD, self._batch)
        rows = rows[:, number * size : (number + 1) * size].reshape(-1)
        sorted_rows, place = rows.sort()  # neighbours of a file are read together
        data = self._fetch(sorted_rows)
        return torch.empty_like(data).index_copy_(0, place, data)
