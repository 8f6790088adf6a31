"""The poses of a store that a prior is measured on, and those that its baselines learn from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vitruve.data import Store
from vitruve.data.splits import read_split
from vitruve.errors import UsageError
from vitruve.priors.recipe import Recipe
from vitruve.priors.run import pose_data

# Training poses that baselines, limits and nearest neighbours take at most, at even distances.
_LEARNED = 100_000
_TRAIN = ("train", "training")


@dataclass(frozen=True, eq=False)
class JudgedPoses:
    """The poses to measure on.

    Attributes:
        body: gives axis-angle [rows, 21, 3] of numbers of rows, as `Store.body`.
        rows: which.
        clips: [rows] the number of each row's clip: frames of one clip are much alike, so confidence is a matter of
            how many clips there are.
        source: where they come from, for the record.
    """

    body: Callable[[Any], Tensor]
    rows: np.ndarray
    clips: np.ndarray
    source: str = ""


def poses_of_store(
    store: Store,
    split: str | Path | None = None,
    part: str | None = None,
    every: int = 1,
    learned_from: Store | None = None,
) -> tuple[JudgedPoses, Float[Tensor, "poses 21 3"]]:
    """The poses to measure on, and those that baselines learn from.

    Args:
        store: what to measure on.
        split: a file of `vitruve data split`. Where left out, the clips that `vitruve prior train` holds out without a
            split; or all, where the baselines learn from another store.
        part: of the split; "test" where left out.
        every: each n-th frame of each clip.
        learned_from: another store that baselines learn from, instead of the split's part "train".

    Returns:
        The poses, and axis-angle of training poses: all, or 100,000 at even distances where there are more.
    """
    if split is None and part is not None:
        raise UsageError(f"a part '{part}' of which split?", fix=f"give the split's file: --split FILE --part {part}")
    if split is not None:
        rows = store.sample(split=f"{split}:{part or 'test'}", every=every)
        learned = None if learned_from else store.sample(split=f"{split}:{_train_part(split)}")
    elif learned_from is not None:
        rows, learned = store.sample(every=every), None
    else:
        held = pose_data(store, Recipe("whole"))
        keys = [store.clips[i].key for i in sorted(set(store.locate(held.valid)[0].tolist()))]
        rows, learned = store.sample(clips=keys, every=every), held.train
    source = learned_from or store
    learned = source.sample() if learned is None else learned
    named = f"{store.path.name}" + (f", part {part or 'test'} of {Path(split).name}" if split else "")
    poses = JudgedPoses(store.body, rows, store.locate(rows)[0], named)
    return poses, source.body(learned[:: -(-len(learned) // _LEARNED)])


def _train_part(split: str | Path) -> str:
    parts = read_split(split)
    for name in _TRAIN:
        if name in parts:
            return name
    raise UsageError(
        "the split has no part that baselines can learn from",
        where=f"{split}: its parts are {', '.join(parts)}",
        fix="name one of them train, or give a store to learn from",
    )
