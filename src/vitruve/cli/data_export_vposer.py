"""`vitruve data export-vposer`: a store's poses as the files that VPoser's published training code reads."""

from __future__ import annotations

from pathlib import Path

from vitruve.cli.options import Out


def export_vposer(
    store: Path,
    *,
    split: Path,
    out: Out,
    fraction: float | None = None,
    central: float | None = None,
    seed: int | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Write `pose_body.pt` and `root_orient.pt` for each part of a split, which VPoser's published training reads.

    Examples: `vitruve data split motions --by vposer-v02_05 --out split.json`, then `vitruve data export-vposer motions
    --split split.json --out vposer-data`.

    Args:
        store: of `vitruve data prepare`.
        split: of `vitruve data split`; its part val becomes vald.
        out: the folder.
        fraction: share of the frames of each clip's central part; 0.3 where left out.
        central: the middle part of each clip; 0.8 where left out.
        seed: another one draws other frames.
        dry_run: say how many poses would be written, and write nothing.
        overwrite: replace the folder of an earlier export.
        quiet: show no progress and no counts.
    """
    from vitruve.data import vposer_files
    from vitruve.runs import progress_bar

    named = {"fraction": fraction, "central": central, "seed": seed}
    given = {name: value for name, value in named.items() if value is not None}
    with progress_bar("exporting", "poses", quiet or dry_run) as progress:
        counts = vposer_files.export_vposer(
            store, split, out, overwrite=overwrite, dry_run=dry_run, progress=progress, **given
        )
    if not quiet or dry_run:
        for part, count in counts.items():
            print(f"{part}: {count:,} poses")
        print("nothing was written" if dry_run else f"Written to {out}.")
