"""Means and standard deviations over windows, with a hash of the data.

Sums are taken in float64, in order, on one thread, so that the numbers do not depend on the number of threads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from os import PathLike
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vitruve.data.windows import Windows
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.files.atomic import replacing
from vitruve.runs.progress import Progress
from vitruve.threads import one_torch_thread

Feature = Callable[[dict[str, Tensor]], Mapping[str, Tensor]]
_BATCH = 64
_VERSION = 1


@dataclass(frozen=True, eq=False)
class Statistics:
    """Means and standard deviations, by the name of a field or feature.

    Attributes:
        mean, std: float64, in the shape of one frame's values.
        count: number of frames in which the scarcest value is not missing.
        hash: of the windows, the recipe and the floor.
        recipe: name and version of the feature.
        floor: smaller standard deviations were raised to it.
    """

    mean: dict[str, Tensor]
    std: dict[str, Tensor]
    count: dict[str, int]
    hash: str
    recipe: str
    floor: float

    def check(self, windows: Windows, recipe: str = "") -> None:
        """Raise BadData where the statistics are not of these windows and this recipe."""
        if self.hash != statistics_hash(windows, recipe, self.floor):
            raise BadData(
                "the statistics are of other data",
                where=f"recipe '{self.recipe}', hash {self.hash[:12]}; wanted: recipe '{recipe}' of {windows!r}",
                fix="compute them again: vitruve.data.statistics.window_statistics",
            )

    def normalised(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The batch with the known fields scaled to mean 0 and standard deviation 1."""
        return self._changed(batch, lambda value, mean, std: (value - mean) / std)

    def restored(self, batch: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The inverse of `normalised`."""
        return self._changed(batch, lambda value, mean, std: value * std + mean)

    def save(self, path: str | PathLike[str], overwrite: bool = False) -> Path:
        """Write JSON; `load_statistics` gives exactly the same numbers."""
        values = {
            name: {"mean": self.mean[name].tolist(), "std": self.std[name].tolist(), "count": self.count[name]}
            for name in self.mean
        }
        head = {"version": _VERSION, "hash": self.hash, "recipe": self.recipe, "floor": self.floor}
        with replacing(Path(path), overwrite=overwrite) as temporary:
            temporary.write_text(json.dumps({**head, "values": values}, indent=1) + "\n", encoding="utf-8")
        return Path(path)

    def _changed(self, batch: Mapping[str, Tensor], change: Callable[..., Tensor]) -> dict[str, Tensor]:
        known = {name: batch[name] for name in self.mean if name in batch}
        return {**batch, **{n: change(v, self.mean[n].to(v), self.std[n].to(v)) for n, v in known.items()}}


def window_statistics(
    windows: Windows,
    feature: Feature | None = None,
    recipe: str = "",
    floor: float = 1e-3,
    progress: Progress | None = None,
) -> Statistics:
    """Means and standard deviations over the valid frames of all windows. NaN is missing, and left out.

    A frame in two windows counts twice, as in training.

    Args:
        windows: the training windows.
        feature: computes [windows, frames, ...] values by name from a batch; the float fields themselves where None.
        recipe: name and version of the feature, part of the hash.
        floor: the smallest standard deviation, for values that do not change.
        progress: called with windows done and windows in all.
    """
    if feature is not None and not recipe:
        raise UsageError("the feature has no name", where="recipe", fix="give one, such as recipe='trajectory 1'")
    sums: dict[str, _Moments] = {}
    with one_torch_thread(), torch.no_grad():
        for start in range(0, len(windows), _BATCH):
            batch = windows.fetch(range(start, min(start + _BATCH, len(windows))))
            valid = batch["mask"].numpy()
            values = {each.name: batch[each.name] for each in windows.fields} if feature is None else feature(batch)
            for name, value in values.items():
                if value.is_floating_point():
                    sums.setdefault(name, _Moments()).add(value.double().numpy()[valid])
            if progress:
                progress(min(start + _BATCH, len(windows)), len(windows))
    done = {name: moments.result() for name, moments in sums.items()}
    return Statistics(
        mean={name: torch.from_numpy(mean) for name, (mean, _, _) in done.items()},
        std={name: torch.from_numpy(std).clamp_min(floor) for name, (_, std, _) in done.items()},
        count={name: count for name, (_, _, count) in done.items()},
        hash=statistics_hash(windows, recipe, floor),
        recipe=recipe,
        floor=floor,
    )


def statistics_hash(windows: Windows, recipe: str = "", floor: float = 1e-3) -> str:
    """The hash of statistics of these windows."""
    return hashlib.sha256(json.dumps([_VERSION, windows.fingerprint, recipe, floor]).encode()).hexdigest()


def load_statistics(path: str | PathLike[str]) -> Statistics:
    """Read what `Statistics.save` wrote."""
    path = Path(path)
    if not path.is_file():
        raise MissingAsset(f"there is no file {path.name}", where=str(path), fix="compute and save the statistics")
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        if content["version"] != _VERSION:
            raise ValueError(f"version {content['version']}, this program reads {_VERSION}")
        values = content["values"]
        arrays = {
            key: {name: torch.tensor(row[key], dtype=torch.float64) for name, row in values.items()}
            for key in ("mean", "std")
        }
        count = {name: int(row["count"]) for name, row in values.items()}
        return Statistics(**arrays, count=count, **{key: content[key] for key in ("hash", "recipe", "floor")})
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadData("the statistics cannot be read", where=f"{path}: {error}", fix="compute them again") from None


class _Moments:
    """Running mean and sum of squared deviations, value by value."""

    def __init__(self) -> None:
        self.count, self.mean, self.squares = np.float64(0), np.float64(0), np.float64(0)

    def add(self, values: np.ndarray) -> None:
        """Add [frames, ...]."""
        known = ~np.isnan(values)
        values = np.where(known, values, 0)
        count = known.sum(0).astype(np.float64)
        mean = values.sum(0) / np.maximum(count, 1)
        squares = (np.where(known, values - mean, 0) ** 2).sum(0)
        together = self.count + count
        apart = mean - self.mean
        self.mean = self.mean + apart * count / np.maximum(together, 1)
        self.squares = self.squares + squares + apart**2 * self.count * count / np.maximum(together, 1)
        self.count = together

    def result(self) -> tuple[np.ndarray, np.ndarray, int]:
        """Mean, population standard deviation, and the smallest count. NaN where all values are missing."""
        unknown = np.where(np.asarray(self.count) > 0, 0.0, np.nan)
        std = np.sqrt(self.squares / np.maximum(self.count, 1))
        smallest = int(np.min(self.count)) if np.size(self.count) else 0
        return np.asarray(self.mean + unknown), np.asarray(std + unknown), smallest
