"""The poses of a store on which a prior is measured, and those from which its baselines learn."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float
from torch import Tensor

from vitruve.data import Store
from vitruve.errors import UsageError
from vitruve.priors.recipe import Recipe
from vitruve.priors.run import pose_data, train_part

# Training poses for baselines, limits and nearest neighbours; evenly spaced if there are more.
_LEARNED = 100_000


@dataclass(frozen=True, eq=False)
class JudgedPoses:
    """The poses to measure on.

    Attributes:
        body: returns axis-angle [rows, 21, 3] for row indices, as `Store.body`.
        rows: indices of the rows.
        clips: [rows] the clip of each row; confidence intervals treat clips as independent.
        source: where the poses come from.
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
    """The poses to measure on, and axis-angle of at most 100,000 training poses for the baselines.

    Args:
        store: the poses to measure on.
        split: a file of `vitruve data split`. Without it, the clips that `vitruve prior train` holds out, or all clips
            if the baselines learn from another store.
        part: of the split; "test" by default.
        every: use each n-th frame of each clip.
        learned_from: the store for the baselines, instead of the split's part "train".
    """
    if split is None and part is not None:
        raise UsageError(f"the part '{part}' needs a split", fix=f"give the split's file: --split FILE --part {part}")
    learned = None
    if split is not None:
        rows = store.sample(split=f"{split}:{part or 'test'}", every=every)
        learned = None if learned_from else store.sample(split=f"{split}:{train_part(Path(split))}")
    elif learned_from is not None:
        rows = store.sample(every=every)
    else:
        held = pose_data(store, Recipe("all"))
        keys = [store.clips[i].key for i in sorted(set(store.locate(held.valid)[0].tolist()))]
        rows, learned = store.sample(clips=keys, every=every), held.train
    source = learned_from or store
    learned = source.sample() if learned is None else learned
    name = store.path.name + (f", part {part or 'test'} of {Path(split).name}" if split else "")
    poses = JudgedPoses(store.body, rows, store.locate(rows)[0], name)
    return poses, source.body(learned[:: -(-len(learned) // _LEARNED)])
