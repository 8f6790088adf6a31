"""Export poses of a store as the files that the published training code of VPoser reads.

    OUT/<part>/pose_body.pt       [poses, 63] axis-angle of joints 1 to 21, float32
    OUT/<part>/root_orient.pt     [poses, 3]

That code calls the parts train, vald and test.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from vitruve.data.splits import read_split
from vitruve.data.store import Store, open_store
from vitruve.runs import Progress, run_folder

_PARTS = {"val": "vald"}
# Frames read from the store at a time.
_BLOCK = 100_000


def export_vposer(
    store: Store | str | os.PathLike[str],
    split: str | Path,
    out: str | Path,
    *,
    fraction: float = 0.3,
    central: float = 0.8,
    seed: int = 0,
    overwrite: bool = False,
    dry_run: bool = False,
    progress: Progress | None = None,
) -> dict[str, int]:
    """Write the files of every part of a split.

    Args:
        store: from `vitruve data prepare`.
        split: a split file from `vitruve data split`.
        out: the folder.
        fraction: share of the frames of each clip's central part, drawn at random; VPoser took 0.3.
        central: the middle part of each clip; VPoser took 0.8.
        seed: of the draws.
        overwrite: replace the folder of an earlier export.
        dry_run: only count.
        progress: called with poses written and in all.

    Returns:
        Name of the part in that code -> number of poses.
    """
    store = store if isinstance(store, Store) else open_store(store)
    rows = {part: store.sample(f"{split}:{part}", fraction, central, seed=seed) for part in read_split(split)}
    counts = {_PARTS.get(part, part): len(numbers) for part, numbers in rows.items()}
    if dry_run:
        return counts
    total, before = sum(counts.values()), 0
    options = {"store": store.path, "split": split, "fraction": fraction, "central": central, "seed": seed}
    with run_folder(out, "data export-vposer", options, [split], overwrite) as run:
        for part, numbers in rows.items():
            folder = run.path / _PARTS.get(part, part)
            folder.mkdir()
            with _files(folder, len(numbers)) as (body, root):
                for first in range(0, len(numbers), _BLOCK):
                    some = numbers[first : first + _BLOCK]
                    body[first : first + len(some)] = store.body(some).flatten(1)
                    root[first : first + len(some)] = store.root(some)
                    if progress is not None:
                        progress(before + first + len(some), total)
            before += len(numbers)
        run.results({f"poses_{part}": count for part, count in counts.items()})
    return counts


def _reserve(file: str, size: int) -> None:
    """Allocate the space: on a full disk, writing to a memory-mapped file would kill the process."""
    with open(file, "wb") as stream:
        if size and hasattr(os, "posix_fallocate"):
            os.posix_fallocate(stream.fileno(), 0, size)


@contextmanager
def _files(folder: Path, count: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Two memory-mapped tensors to fill, saved as .pt files at the end."""
    tensors = {}
    for name, width in (("pose_body", 63), ("root_orient", 3)):
        file = str(folder / f"{name}.partial")
        _reserve(file, 4 * count * width)
        tensors[name] = torch.from_file(file, shared=True, size=count * width, dtype=torch.float32).view(count, width)
    yield tensors["pose_body"], tensors["root_orient"]
    for name, values in tensors.items():
        torch.save(values, folder / f"{name}.pt")
        (folder / f"{name}.partial").unlink()
