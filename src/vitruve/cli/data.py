"""`vitruve data`: data sets made ready once, divided, and looked at."""

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
from vitruve.cli.options import AsJson, Count, Gender, Out, OutIfAny, Rate
from vitruve.cli.plain_table import print_table
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.data.prepare import Outcome

app = App(
    name="data",
    help="Make data sets ready once: unpack, prepare, split, label, show; annotated poses.\n\n"
    "Examples: `vitruve data prepare AMASS --out motions --workers 8`, `vitruve data split motions --by subject --out "
    "split.json`, `vitruve data show motions`.",
)
app.command(unpack)
_BAD_FILE, _SHOWN = 4, 10


@app.command
def prepare(  # noqa: PLR0913 (one parameter per option)
    *given: Path,
    out: Out,
    to: str | None = None,
    mapping: str | None = None,
    source_fps: Rate = None,
    gender: Gender = None,
    set_name: Annotated[str | None, Parameter(name="--set")] = None,
    licence: str | None = None,
    workers: Count = 1,
    shard: str | None = None,
    cluster: str | None = None,
    dry_run: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Bring motion files of any make into one clip store: every clip once, every frame, all fields.

    What the store has is not read again and not changed, so more data can be added at any time, and a run that was
    stopped goes on where it was. A bad file is reported and left out; the exit status is then 4.

    Examples: `vitruve data prepare AMASS --out motions --workers 8`, `vitruve data prepare recordings --out motions
    --licence "CC BY-NC 4.0"`.

    Args:
        given: folders and files: AMASS (SMPL+H, SMPL-X), Vitruve's own, BVH, ASF/AMC.
        out: the store.
        to: the body that BVH and ASF/AMC motions are brought to; open-smplh where left out.
        mapping: mapping file for these (docs/retarget.md); found by the joints' names where left out.
        source_fps: frames per second, for files that do not say.
        gender: neutral, female or male, for files that do not say.
        set_name: the data set that all files are of, where the folders do not say it.
        licence: of the data set, in one line; known for AMASS, CMU (ASF/AMC) and Bandai-Namco.
        workers: processes on this machine.
        shard: do only this part of the work, such as 2/8; the parts can run at the same time.
        cluster: address of a Dask scheduler that does the work instead.
        dry_run: say what would be done, and write nothing.
        overwrite: write the sets of these files anew; all files of a set must be given.
        quiet: show no progress and no summary.
    """
    from vitruve.data.prepare import plan_preparation
    from vitruve.data.prepare import prepare as prepare_store
    from vitruve.jobs.shards import WHOLE, parse_shard, shard_suffix
    from vitruve.runs import progress_bar

    given_options = {"to": to, "mapping": mapping, "source_fps": source_fps, "gender": gender, "set_name": set_name}
    given_options["licence"] = licence
    options: dict[str, Any] = {name: value for name, value in given_options.items() if value is not None}
    part = parse_shard(shard) if shard else WHOLE
    options |= {"overwrite": overwrite, "shard": part}
    if dry_run:
        plan = plan_preparation(given, out, **options)
        for name in sorted({source.set for source in plan.files}):
            files = [source for source in plan.files if source.set == name]
            print(f"{name}: {len(files):,} files, {sum(source.size for source in files) / 1e6:,.0f} MB to read")
        print(f"{plan.done:,} files are in the store; {len(plan.skipped):,} copies; {len(plan.passed):,} passed over")
        print(f"nothing was written; the store would be {out}")
        return 0
    with progress_bar("preparing", "files", quiet) as progress:
        outcome = prepare_store(given, out, workers=workers, cluster=cluster or "", progress=progress, **options)
    _say(outcome, out, f"failed{shard_suffix(part)}.csv", quiet)
    return _BAD_FILE if outcome.failed else 0


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
    dry_run: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Divide the clips of a store into parts, in a small file that names them; what leaks between parts is said.

    Examples: `vitruve data split motions --by subject --out split.json`, `vitruve data split motions --by vposer-v1
    --out vposer.json --allow-missing`.

    Args:
        store: of `vitruve data prepare`.
        by: subject, hash (each clip by itself), the name of a published split, or a file that lists the parts.
        out: the file to write; training and evaluation take it.
        fractions: shares of the parts, for subject and hash; train=0.8,val=0.1,test=0.1 where left out.
        seed: another one divides otherwise.
        sets: only clips of these data sets.
        allow_missing: take a published split also where the store lacks some of its sets.
        dry_run: show the table, and write nothing.
        overwrite: replace the file.
        quiet: show no table.
    """
    from vitruve.data import open_store
    from vitruve.data.splits import (
        FRACTIONS,
        clips_of_sets,
        divide,
        leaks,
        notes_on,
        parse_fractions,
        refuse_empty,
        table,
        write_split,
    )
    from vitruve.errors import MissingAsset

    clips = clips_of_sets(open_store(store), sets)
    shares = parse_fractions(fractions) if fractions else FRACTIONS
    try:
        parts = divide(clips, by, shares, seed, allow_missing)
    except MissingAsset:
        if not quiet:
            print_table(*table(divide(clips, by, shares, seed, allow_missing=True), by))
            _notes(notes_on(clips, by))
        raise
    notes = notes_on(clips, by)
    if not quiet:
        print_table(*table(parts, by))
        _notes(notes)
    found = leaks(parts)
    for leak in found[:_SHOWN]:
        print(f"vitruve: leak: {leak.what} {leak.name} is in {', '.join(leak.parts)}", file=sys.stderr)
    if len(found) > _SHOWN:
        print(f"vitruve: and {len(found) - _SHOWN} leaks more", file=sys.stderr)
    if not quiet and not found:
        print("No subject and no motion is in two parts.")
    refuse_empty(parts)
    if dry_run:
        print("nothing was written")
    else:
        write_split(parts, out, how=by, notes=notes, overwrite=overwrite)
    return 0


@app.command
def show(
    store: Path,
    *,
    out: OutIfAny = None,
    inspect: Annotated[int | None, Parameter(validator=Number(gte=0))] = None,
    as_json: AsJson = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> None:
    """Say what is in a store: sets, hours, rates, licences, labels, lengths, how far joints turn, what is odd.

    Example: `vitruve data show motions --out motions-report`.

    Args:
        store: of `vitruve data prepare`.
        out: a folder for report.html and results.json.
        inspect: how many clips are looked through for what is odd; 100 where left out.
        as_json: print the figures as JSON.
        overwrite: replace the folder of an earlier run.
        quiet: show no progress and no table.
    """
    from vitruve.data import open_store
    from vitruve.data.show import store_figures
    from vitruve.report.data_page import (
        FIELD_HEADER,
        LABEL_HEADER,
        SET_HEADER,
        data_page,
        field_rows,
        label_rows,
        licence_rows,
        set_rows,
    )
    from vitruve.runs import progress_bar, run_folder
    from vitruve.runs.folder import check_out

    if out is not None:
        check_out(out, "data show", overwrite)
    with progress_bar("looking through clips", "clips", quiet) as progress:
        chosen = {} if inspect is None else {"inspect": inspect}
        figures = store_figures(open_store(store), progress=progress, **chosen)
    if as_json:
        print(json.dumps(figures, indent=2, ensure_ascii=False))
    elif not quiet:
        print_table(SET_HEADER, set_rows(figures))
        for line, sets in licence_rows(figures):
            print(f"licence: {line} ({sets})")
        for header, rows in ((LABEL_HEADER, label_rows(figures["labels"])), (FIELD_HEADER, field_rows(figures))):
            if rows:
                print_table(header, rows)
        looked = f"of {figures['clips_looked_through']} clips looked through"
        for row in figures["findings"]:
            where = f" ({row['where']})" if row["where"] else ""
            print(f"{row['severity']}: {row['clips']} {looked}, first {row['first']}: {row['what']}{where}")
    if out is not None:
        with run_folder(out, "data show", {"store": store, "inspect": inspect}, overwrite=overwrite) as run:
            run.results(figures)
            (run.path / "report.html").write_text(data_page(figures), encoding="utf-8")
        if not quiet and not as_json:
            print(f"Written to {out}; open {out / 'report.html'} in a browser.")


def _say(outcome: Outcome, out: Path, table: str, quiet: bool) -> None:
    from vitruve.motion.finding import finding_text

    plan = outcome.plan
    for line in outcome.failed[:_SHOWN]:
        print(f"vitruve: {line['file']} left out: {line['what']}", file=sys.stderr)
    if outcome.failed:
        print(f"vitruve: {counted(len(outcome.failed), 'file')} failed; see {out / table}", file=sys.stderr)
    if quiet:
        return
    for row in outcome.warned[:_SHOWN]:
        more = f" and {row['clips'] - 1:,} more" if row["clips"] > 1 else ""
        print(f"vitruve: warning: {row['first']}{more}: {finding_text(row)}", file=sys.stderr)
    for skipped in plan.skipped[:_SHOWN]:
        print(f"not taken: {skipped.path}: {skipped.why}")
    if len(plan.skipped) > _SHOWN:
        print(f"not taken: and {len(plan.skipped) - _SHOWN:,} more")
    counts = f"{plan.done:,} were there; {len(plan.skipped):,} not taken; {len(outcome.failed):,} failed"
    print(
        f"{outcome.clips:,} clips with {outcome.frames:,} frames were added; {counts}; {len(plan.passed):,} passed over"
    )
    print(f"The store is {out}; look at it: vitruve data show {out}")


def _notes(lines: list[str]) -> None:
    for line in lines:
        print(f"note: {line}")


app.command(label)
app.command(poses)
app.command(export_vposer, name="export-vposer")
