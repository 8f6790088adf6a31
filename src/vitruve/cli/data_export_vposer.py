"""`vitruve data export-vposer`: a store's poses as files for VPoser's published training code."""

from __future__ import annotations

from pathlib import Path

from vitruve.cli.options import DryRun, Out, Overwrite, Quiet, StorePath


def export_vposer(
    store: StorePath,
    *,
    split: Path,
    out: Out,
    fraction: float | None = None,
    central: float | None = None,
    seed: int | None = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write `pose_body.pt` and `root_orient.pt` for each part of a split, for VPoser's published training.

    Examples: `vitruve data split motions --by vposer-v02_05 --out split.json`, then `vitruve data export-vposer motions
    --split split.json --out vposer-data`.

    Args:
        split: of `vitruve data split`; its part val becomes vald.
        out: the folder to write.
        fraction: share of the frames of each clip's central part; by default 0.3.
        central: the middle part of each clip; by default 0.8.
        seed: of the frames that are drawn.
    """
    from vitruve.data import vposer_files
    from vitruve.runs import progress_bar

    named = {"fraction": fraction, "central": central, "seed": seed}
    options = {name: value for name, value in named.items() if value is not None}
    with progress_bar("exporting", "poses", quiet or dry_run) as progress:
        counts = vposer_files.export_vposer(
            store, split, out, overwrite=overwrite, dry_run=dry_run, progress=progress, **options
        )
    if not quiet or dry_run:
        for part, count in counts.items():
            print(f"{part}: {count:,} poses")
        print("nothing was written" if dry_run else f"Written to {out}.")
