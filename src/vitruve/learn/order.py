"""The order of the data: a function of seed and step alone, so that a run can resume exactly."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

# Length of the repeating pattern of data sets; weights are rounded to one part in this number.
_PATTERN = 4096


def seed_of(*parts: int | str) -> int:
    """A seed from numbers and names; different parts give unrelated seeds."""
    text = "/".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little") >> 1


class Order:
    """An endless sequence of rows 0 to count - 1, shuffled again in each epoch."""

    def __init__(self, count: int, seed: int) -> None:
        self.count, self.seed = count, seed
        self._shuffled = (-1, np.empty(0, np.int64))

    def rows(self, start: int, stop: int) -> Tensor:
        """The rows at positions `start` to `stop` of the sequence."""
        parts = [np.empty(0, np.int64)]
        while start < stop:
            place = start % self.count
            length = min(stop - start, self.count - place)
            parts.append(self._permutation(start // self.count)[place : place + length])
            start += length
        return torch.from_numpy(np.concatenate(parts).astype(np.int64))

    def _permutation(self, number: int) -> np.ndarray:
        known, shuffled = self._shuffled  # read and written at once, since several threads call this
        if number != known:
            generator = np.random.Generator(np.random.Philox(seed_of("order", self.seed, number)))
            kind = np.int32 if self.count < 2**31 else np.int64
            shuffled = generator.permutation(np.arange(self.count, dtype=kind))
            self._shuffled = (number, shuffled)
        return shuffled


class Mixture:
    """An endless sequence of rows of several data sets, each in its own `Order`, evenly mixed by weight.

    Args:
        counts: rows of each set.
        weights: of each set, positive; only their ratios matter.
        seed: of the order.
    """

    def __init__(self, counts: Sequence[int], weights: Sequence[float], seed: int) -> None:
        self._orders = [
            Order(count, seed if number == 0 else seed_of("data set", seed, number))
            for number, count in enumerate(counts)
        ]
        self._quotas = _quotas(weights)
        # The k-th row of a set is at (k + 1/2) / quota of the pattern.
        when = np.concatenate([(np.arange(quota) + 0.5) / quota for quota in self._quotas])
        sets = np.repeat(np.arange(len(weights)), self._quotas)
        self._set = sets[np.argsort(when, kind="stable")]
        self._rank = np.empty(len(self._set), np.int64)
        for number, quota in enumerate(self._quotas):
            self._rank[self._set == number] = np.arange(quota)

    def rows(self, start: int, stop: int) -> tuple[Tensor, Tensor]:
        """(index of the set, row in it) at positions `start` to `stop` of the sequence."""
        pattern, place = np.divmod(np.arange(start, stop), len(self._set))
        sets = self._set[place]
        drawn = pattern * self._quotas[sets] + self._rank[place]  # earlier rows of the same set
        rows = torch.empty(stop - start, dtype=torch.int64)
        for number, order in enumerate(self._orders):
            mine = sets == number
            if mine.any():
                first = int(drawn[mine][0])
                rows[torch.from_numpy(mine)] = order.rows(first, first + int(mine.sum()))
        return torch.from_numpy(sets), rows


def _quotas(weights: Sequence[float]) -> np.ndarray:
    """The number of rows of each set in a pattern: at least one, by largest remainders."""
    if len(weights) == 1:
        return np.ones(1, np.int64)
    exact = np.asarray(weights, float) / sum(weights) * _PATTERN
    quotas = np.maximum(1, np.floor(exact)).astype(np.int64)
    for number in np.argsort(quotas - exact, kind="stable")[: max(0, _PATTERN - int(quotas.sum()))]:
        quotas[number] += 1
    return quotas
