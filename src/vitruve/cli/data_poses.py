"""`vitruve data poses`: annotated poses, such as PoseScript's, taken from AMASS into one file keyed by id."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import Out

# Failed poses that a terminal is shown.
_SHOWN = 20


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
    dry_run: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Take annotated poses from AMASS by data set, sequence and frame, into one file for `vitruve convert`.

    The file is keyed by pose id; a table beside it (.csv) says where each pose is from. A pose that cannot be had is
    reported, the others are done, and the exit status is 4.

    Examples: `vitruve data poses ids_2_dataset_sequence_and_frame_index_100k.json --amass AMASS --ids
    posescript_human_6293.json`, then `vitruve convert poses.npz --to smplx --out poses_smplx.npz`.

    Args:
        annotations: where each pose is: {id: ["AMASS", path of the sequence, frame]}, as PoseScript has it.
        amass: folder with the sets of the SMPL+H release, under any of their names.
        out: .npz, .json or .pkl.
        ids: files of pose ids, or annotations keyed by them; all poses where left out.
        pairs: PoseFix's file of pairs, to take both poses of each.
        pair_ids: files of pair ids, or annotations keyed by them; all pairs where left out.
        normalise: none, or heading: the turn about the vertical removed as in PoseScript; pairs are keyed by pair then.
        as_recorded: keep gender and shape, and the place where nothing is normalised; neutral and mean otherwise.
        workers: files at a time.
        dry_run: say what would be done, and write nothing.
        overwrite: replace the output.
        quiet: show no progress and no summary.
    """
    from vitruve.amass.annotated_poses import check_out, extract_poses, write_places
    from vitruve.convert.poses import write_poses
    from vitruve.runs import progress_bar

    table = check_out(out, overwrite or dry_run)
    given = {"workers": workers} if workers else {}
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
            **given,
        )
    for note in found.notes if not quiet else ():
        print(f"vitruve: note: {note}", file=sys.stderr)
    for each in found.failed[:_SHOWN]:
        print(f"vitruve: pose {each.id} skipped: {each.error}", file=sys.stderr)
    if len(found.failed) > _SHOWN:
        print(f"vitruve: and {len(found.failed) - _SHOWN} more; see {table}", file=sys.stderr)
    if not dry_run:
        write_poses(found.poses, out, overwrite=overwrite)
        write_places(found, table, overwrite=overwrite)
    if not quiet or dry_run:
        print(f"{len(found.poses):,} poses of {found.sequences:,} sequences; {len(found.failed):,} failed")
        print("nothing was written" if dry_run else f"Written to {out}; next: vitruve convert {out} --to smplx")
    return 4 if found.failed or not found.poses.mask.all() else 0
