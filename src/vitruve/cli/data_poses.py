"""`vitruve data poses`: annotated poses, such as PoseScript's, from AMASS into one file keyed by id."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import DryRun, Out, Overwrite, Quiet
from vitruve.cli.output import print_first, print_notes

# How many failed poses a terminal shows.
_MOST_LINES = 20


def poses(
    annotations: Path,
    *,
    amass: Path,
    out: Out = Path("poses.npz"),
    ids: tuple[Path, ...] = (),
    pairs: Path | None = None,
    pair_ids: tuple[Path, ...] = (),
    normalise: Literal["none", "heading"] = "none",
    as_recorded: bool = False,
    workers: Annotated[int | None, Parameter(validator=Number(gte=1))] = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Extract annotated poses from AMASS by data set, sequence and frame, into one file for `vitruve convert`.

    The file is keyed by pose id; a table beside it (.csv) lists where each pose is from. A pose that cannot be read is
    reported and skipped, and the exit status is 4.

    Examples: `vitruve data poses ids_2_dataset_sequence_and_frame_index_100k.json --amass AMASS --ids
    posescript_human_6293.json`, then `vitruve convert poses.npz --to smplx --out poses_smplx.npz`.

    Args:
        annotations: where each pose is: {id: ["AMASS", path of the sequence, frame]}, as in PoseScript.
        amass: folder with the sets of the SMPL+H release, under any of their names.
        out: .npz, .json or .pkl.
        ids: files of pose ids, or annotations keyed by them; by default all poses.
        pairs: PoseFix's file of pairs, to extract both poses of each.
        pair_ids: files of pair ids, or annotations keyed by them; by default all pairs.
        normalise: none, or heading: remove the turn about the vertical as in PoseScript; pairs are then keyed by pair.
        as_recorded: keep gender and shape, and the position unless normalised; by default neutral and mean.
        workers: files at a time.
    """
    from vitruve.amass.annotated_poses import check_out, extract_poses, write_places
    from vitruve.convert.poses import write_poses
    from vitruve.runs import progress_bar

    table = check_out(out, overwrite or dry_run)
    options = {"workers": workers} if workers else {}
    with progress_bar("reading poses", "poses", quiet) as progress:
        found = extract_poses(
            annotations,
            amass,
            ids=ids,
            pairs=pairs,
            pair_ids=pair_ids,
            normalise=normalise,
            as_recorded=as_recorded,
            progress=progress,
            **options,
        )
    print_notes([] if quiet else found.notes)
    failures = [f"pose {each.id} skipped: {each.error}" for each in found.failed]
    print_first(failures, _MOST_LINES, f"more; see {table}")
    if not dry_run:
        write_poses(found.poses, out, overwrite=overwrite)
        write_places(found, table, overwrite=overwrite)
    if not quiet or dry_run:
        print(f"{len(found.poses):,} poses of {found.sequences:,} sequences; {len(found.failed):,} failed")
        print("nothing was written" if dry_run else f"Written to {out}; next: vitruve convert {out} --to smplx")
    return 4 if found.failed or not found.poses.mask.all() else 0
