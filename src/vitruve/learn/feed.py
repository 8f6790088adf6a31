"""The batches of a training, read in the background."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from vitruve.errors import BadData
from vitruve.learn.order import Mixture
from vitruve.learn.task import Batch, DataSet

# Steps per fetch: many small reads are slower than a large one.
_AHEAD = 8


class Feed:
    """The batches of a training, independent of the number of readers.

    Args:
        data: the data sets.
        mixture: the order of their rows.
        batch: rows per step, over all processes.
        step: the first step.
        share: (index of this process, number of processes); each gets its part of every batch.
        readers: number of threads; each fetches several steps at a time.
        pin: use page-locked memory, so that a GPU can copy while it computes.

    Attributes:
        waited: seconds that `next` has waited for data.
    """

    def __init__(
        self,
        data: Sequence[DataSet],
        mixture: Mixture,
        batch: int,
        step: int,
        share: tuple[int, int] = (0, 1),
        readers: int = 1,
        pin: bool = False,
    ) -> None:
        self._data, self._mixture, self._batch, self._share, self._pin = data, mixture, batch, share, pin
        self._size = batch // share[1]
        self._block: Batch = {}
        self._place = _AHEAD
        self._next_read = step
        self.waited = 0.0
        self._pool = ThreadPoolExecutor(readers)
        self._coming: deque[Future[Batch]] = deque()
        for _ in range(readers):
            self._read_more()

    def next(self) -> Batch:
        """The batch of the next step."""
        if self._place == _AHEAD:
            clock = time.perf_counter()
            self._block, self._place = self._coming.popleft().result(), 0
            self.waited += time.perf_counter() - clock
            self._read_more()
        start = self._place * self._size
        self._place += 1
        return {key: value[start : start + self._size] for key, value in self._block.items()}

    def close(self) -> None:
        """Stop reading."""
        self._pool.shutdown(wait=True, cancel_futures=True)

    def _read_more(self) -> None:
        self._coming.append(self._pool.submit(self._read, self._next_read))
        self._next_read += _AHEAD

    def _read(self, step: int) -> Batch:
        first = self._share[0] * self._size
        sets, rows = (
            part.view(_AHEAD, self._batch)[:, first : first + self._size].reshape(-1)
            for part in self._mixture.rows(step * self._batch, (step + _AHEAD) * self._batch)
        )
        block: Batch = {}
        for number, data in enumerate(self._data):
            places = (sets == number).nonzero().squeeze(1)
            if not len(places):
                continue
            sorted_rows, by = rows[places].sort()  # adjacent rows are read together
            fetched = data.fetch(sorted_rows)
            if not block:
                block = {key: value.new_empty(len(rows), *value.shape[1:]) for key, value in fetched.items()}
            _check(data, fetched, len(sorted_rows), block)
            for key, value in fetched.items():
                block[key].index_copy_(0, places[by], value)
        return {key: value.pin_memory() for key, value in block.items()} if self._pin else block


def _check(data: DataSet, fetched: Batch, count: int, block: Batch) -> None:
    """Raise unless the tensors have the requested rows and fit those of the other data sets."""
    expected = {key: (count, *value.shape[1:], value.dtype) for key, value in block.items()}
    actual = {key: (*value.shape, value.dtype) for key, value in fetched.items()}
    if not actual or actual != expected:
        raise BadData(
            "a data set returns other tensors than expected",
            where=f"data set '{data.name}': {_shapes(actual)} instead of {_shapes(expected)}",
            fix="return the same names, shapes and types from `fetch` of all data sets, one row per requested row",
        )


def _shapes(shapes: dict[str, tuple]) -> str:
    return ", ".join(f"{key} {list(shape[:-1])} {shape[-1]}" for key, shape in sorted(shapes.items())) or "nothing"
