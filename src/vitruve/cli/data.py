"""`vitruve data`: data sets unpacked, prepared, divided, labelled and shown."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

from cyclopts import App, Parameter
from cyclopts.validators import Number

from vitruve.cli.data_export_vposer import export_vposer
from vitruve.cli.data_label import label
from vitruve.cli.data_poses import poses
from vitruve.cli.data_unpack import unpack
from vitruve.cli.options import Cluster, Count, DryRun, Gender, Json, Out, OutIfAny, Overwrite, Quiet, Shard, SourceFps
from vitruve.cli.output import print_first, print_place, print_table, print_warnings
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.data.prepare import Outcome

app = App(
    name="data",
    help="Prepare data sets: unpack, prepare, split, label, show; annotated poses.\n\n"
    "Examples: `vitruve data prepare AMASS --out motions --workers 8`, `vitruve data split motions --by subject --out "
    "split.json`, `vitruve data show motions`.",
)
app.command(unpack)
_BAD_FILE, _MOST_LINES = 4, 10


@app.command
def prepare(  # noqa: PLR0913 (one parameter per option)
    *inputs: Path,
    out: Out,
    to: str | None = None,
    mapping: str | None = None,
    source_fps: SourceFps = None,
    gender: Gender = None,
    set_name: Annotated[str | None, Parameter(name="--set")] = None,
    licence: str | None = None,
    workers: Count = 1,
    shard: Shard = None,
    cluster: Cluster = None,
    dry_run: DryRun = False,
    overwrite: bool = False,
    quiet: Quiet = False,
) -> int:
    """Collect motion files of any format in one clip store: every clip once, every frame, all fields.

    Files that the store has are not read again, so more data can be added at any time, and a run that was stopped
    resumes. A bad file is reported and skipped; the exit status is then 4.

    Examples: `vitruve data prepare AMASS --out motions --workers 8`, `vitruve data prepare recordings --out motions
    --licence "CC BY-NC 4.0"`.

    Args:
        inputs: folders and files: AMASS (SMPL+H, SMPL-X), Vitruve's own, BVH, ASF/AMC.
        out: the store.
        to: the target body of BVH and ASF/AMC motions; by default open-smplh.
        mapping: mapping file for these (docs/retarget.md); by default found by the joints' names.
        set_name: the data set of all files, where the folders do not tell it.
        licence: of the data set, in one line; known for AMASS, CMU (ASF/AMC) and Bandai-Namco.
        workers: processes on this machine.
        overwrite: write the sets of these files again; all files of a set must be given.
    """
    from vitruve.data.prepare import plan_preparation
    from vitruve.data.prepare import prepare as prepare_store
    from vitruve.jobs.shards import WHOLE, parse_shard, shard_suffix
    from vitruve.runs import progress_bar

    named = {"to": to, "mapping": mapping, "source_fps": source_fps, "gender": gender, "set_name": set_name}
    options = {name: value for name, value in {**named, "licence": licence}.items() if value is not None}
    part = parse_shard(shard) if shard else WHOLE
    shared: dict[str, Any] = {**options, "overwrite": overwrite, "shard": part}
    if dry_run:
        plan = plan_preparation(inputs, out, **shared)
        for name in sorted({source.set for source in plan.files}):
            sizes = [source.size for source in plan.files if source.set == name]
            print(f"{name}: {len(sizes):,} files, {sum(sizes) / 1e6:,.0f} MB to read")
        print(f"{plan.done:,} files are in the store; {len(plan.skipped):,} copies; {len(plan.passed):,} ignored")
        print(f"nothing was written; the store would be {out}")
        return 0
    with progress_bar("preparing", "files", quiet) as progress:
        outcome = prepare_store(inputs, out, workers=workers, cluster=cluster or "", progress=progress, **shared)
    for row in outcome.failed[:_MOST_LINES]:
        print(f"vitruve: {row['file']} left out: {row['what']}", file=sys.stderr)
    if outcome.failed:
        table = out / f"failed{shard_suffix(part)}.csv"
        print(f"vitruve: {counted(len(outcome.failed), 'file')} failed; see {table}", file=sys.stderr)
    if not quiet:
        _print_outcome(outcome, out)
    return _BAD_FILE if outcome.failed else 0


def _print_outcome(outcome: Outcome, out: Path) -> None:
    print_warnings(outcome.warned, _MOST_LINES, "more")
    plan = outcome.plan
    for skipped in plan.skipped[:_MOST_LINES]:
        print(f"skipped: {skipped.path}: {skipped.why}")
    if len(plan.skipped) > _MOST_LINES:
        print(f"skipped: and {len(plan.skipped) - _MOST_LINES:,} more")
    print(
        f"{outcome.clips:,} clips with {outcome.frames:,} frames were added; {plan.done:,} were there; "
        f"{len(plan.skipped):,} skipped; {len(outcome.failed):,} failed; {len(plan.passed):,} ignored"
    )
    print(f"The store is {out}; look at it: vitruve data show {out}")


@app.command
def split(
    store: Path,
    *,
    by: str,
    out: Out,
    fractions: str | None = None,
    seed: int = 0,
    sets: Annotated[tuple[str, ...], Parameter(name="--set", consume_multiple=True)] = (),
    allow_missing: bool = False,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> int:
    """Divide the clips of a store into parts, named in a small file; warn of what leaks between parts.

    Examples: `vitruve data split motions --by subject --out split.json`, `vitruve data split motions --by vposer-v1
    --out vposer.json --allow-missing`.

    Args:
        store: of `vitruve data prepare`.
        by: subject, hash (each clip by itself), the name of a published split, or a file that lists the parts.
        out: the file to write, for training and evaluation.
        fractions: shares of the parts, for subject and hash; by default train=0.8,val=0.1,test=0.1.
        seed: of the division.
        sets: only clips of these data sets.
        allow_missing: use a published split even where the store lacks some of its sets.
    """
    from vitruve.data import open_store, splits
    from vitruve.errors import MissingAsset

    clips = splits.clips_of_sets(open_store(store), sets)
    shares = splits.parse_fractions(fractions) if fractions else splits.FRACTIONS
    missing = None
    try:
        parts = splits.divide(clips, by, shares, seed, allow_missing)
    except MissingAsset as error:
        missing, parts = error, splits.divide(clips, by, shares, seed, allow_missing=True)
    notes = splits.notes_on(clips, by)
    if not quiet:
        print_table(*splits.table(parts, by))
        for note in notes:
            print(f"note: {note}")
    if missing:
        raise missing
    leaks = [f"leak: {leak.what} {leak.name} is in {', '.join(leak.parts)}" for leak in splits.leaks(parts)]
    print_first(leaks, _MOST_LINES, "leaks more")
    if not quiet and not leaks:
        print("No subject and no motion is in two parts.")
    splits.refuse_empty(parts)
    if dry_run:
        print("nothing was written")
    else:
        splits.write_split(parts, out, how=by, notes=notes, overwrite=overwrite)
    return 0


@app.command
def show(
    store: Path,
    *,
    out: OutIfAny = None,
    inspect: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    as_json: Json = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Describe a store: sets, hours, rates, licences, labels, lengths, how far joints turn, what is odd.

    Example: `vitruve data show motions --out motions-report`.

    Args:
        store: of `vitruve data prepare`.
        out: a folder for report.html and results.json.
        inspect: how many clips are searched for oddities; by default 100.
    """
    from vitruve.data import open_store
    from vitruve.data.show import store_figures
    from vitruve.report import data_page
    from vitruve.runs import progress_bar, run_folder
    from vitruve.runs.folder import check_out

    if out is not None:
        check_out(out, "data show", overwrite)
    with progress_bar("looking through clips", "clips", quiet) as progress:
        options = {} if inspect is None else {"inspect": inspect}
        figures = store_figures(open_store(store), progress=progress, **options)
    if as_json:
        print(json.dumps(figures, indent=2, ensure_ascii=False))
    elif not quiet:
        print_table(data_page.SET_HEADER, data_page.set_rows(figures))
        for line, sets in data_page.licence_rows(figures):
            print(f"licence: {line} ({sets})")
        for header, rows in data_page.label_and_field_tables(figures):
            print_table(header, rows)
        searched = f"of {figures['clips_looked_through']} clips looked through"
        for row in figures["findings"]:
            where = f" ({row['where']})" if row["where"] else ""
            print(f"{row['severity']}: {row['clips']} {searched}, first {row['first']}: {row['what']}{where}")
    if out is not None:
        with run_folder(out, "data show", {"store": store, "inspect": inspect}, overwrite=overwrite) as run:
            run.results(figures)
            run.report(data_page.data_page(figures))
        if not quiet and not as_json:
            print_place(out)


app.command(label)
app.command(poses)
app.command(export_vposer, name="export-vposer")
