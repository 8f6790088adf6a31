"""`vitruve convert`: motions to another body, one file or a whole data set."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli import process
from vitruve.cli.options import (
    BodiesFolder,
    Cluster,
    Device,
    DryRun,
    Gender,
    Out,
    Quiet,
    Shard,
    SourceFps,
    UpAxis,
    Workers,
)
from vitruve.cli.output import print_first, print_notes, print_table, print_warnings
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.convert.options import Options
    from vitruve.jobs.batch import Batch, Outcome

# Frames per second of one process, for estimates before anything was measured in the output folder.
_ASSUMED_RATE = 500.0
_BAD_FILE, _NOT_TRUSTED = 4, 5
# How many failures and warnings a terminal shows.
_MOST_LINES = 20


def convert(  # noqa: PLR0913 (one parameter per option)
    *inputs: str,
    to: str,
    source: Annotated[str | None, Parameter(name="--from")] = None,
    out: Out = Path("vitruve-convert"),
    betas: str | None = None,
    hands: str = "flat",
    format: str | None = None,
    bodies: BodiesFolder = None,
    source_fps: SourceFps = None,
    gender: Gender = None,
    mapping: str | None = None,
    up: UpAxis = "z",
    points: Annotated[int | None, Parameter(validator=Number(gte=50))] = None,
    device: Device = "cpu",
    workers: Workers = 1,
    shard: Shard = None,
    cluster: Cluster = None,
    report: Annotated[bool, Parameter(negative="--no-report")] = True,
    dry_run: DryRun = False,
    overwrite: bool = False,
    quiet: Quiet = False,
) -> int:
    """Convert motions to another body: one shape per clip, the same movement, the quality measured.

    A run into the same folder keeps what an earlier one has done, unless an input, an option or a body has changed. A
    bad file is reported and skipped. The exit status is 4 where a file failed, and 5 where a result is not to be
    trusted without a look.

    Examples: `vitruve convert walk_poses.npz --to smplx`, `vitruve convert AMASS --to smplx-neutral --out AMASS_smplx
    --workers 8`, `vitruve convert take.bvh --to open-smplx --out take.npz`.

    Args:
        inputs: files, folders, patterns, or lists of paths (@files.txt).
        to: the target body; 'smplx' keeps each motion's gender.
        source: the body of the inputs, for files that do not state it.
        out: a folder, which keeps the tree of the inputs; or a file for one input.
        betas: fit, zero, keep-if-same, or a file with betas; by default fit, and zero for single poses.
        hands: for a source without fingers: flat, mean, or a file with 90 axis-angle values.
        format: a name of docs/formats.md; by default that of the target body.
        mapping: mapping file for motions on a foreign skeleton (BVH, ASF/AMC), or "guess" (docs/retarget.md).
        points: about how many surface points to fit; by default as many as the fit was tested with.
        report: write report.html; --no-report writes none, and removes that of an earlier run.
        overwrite: replace files that no earlier run has made.
    """
    with process.quick_imports():
        from vitruve.convert.batch import carry_out, prepare
        from vitruve.convert.betas_and_hands_options import read_betas_option, read_hands_option
        from vitruve.convert.options import Options
        from vitruve.devices import device_of
        from vitruve.jobs.shards import parse_shard
        from vitruve.runs import progress_bar
        from vitruve.threads import one_thread_but_for_blocks

        if not dry_run:
            import numba.core.dispatcher  # noqa: F401 (of the solver and the pictures)
        if report and not dry_run:
            import vitruve.report.convert_pictures  # noqa: F401 (used at the end)
    options = Options(
        to=to,
        source=source or "",
        betas=read_betas_option(betas) if betas else None,
        hands=read_hands_option(hands),
        format=format or "",
        points=points,
        fps=source_fps,
        mapping=mapping or "",
        up=up,
        gender=gender or "",
        device=device,
    )
    if not cluster:
        device_of(device)  # a missing device is an error before any work
    part = parse_shard(shard) if shard else (1, 1)
    with one_thread_but_for_blocks(), progress_bar("looking at files", "files", quiet or len(inputs) == 1) as progress:
        batch = prepare(inputs, options, out, folder=bodies, shard=part, overwrite=overwrite, progress=progress)
    if not quiet:
        _print_notes(batch)
    if dry_run:
        _print_plan(batch, workers)
        return 0
    with one_thread_but_for_blocks(), progress_bar("converting", "frames", quiet) as progress:
        outcome = carry_out(batch, workers=workers, cluster=cluster or "", progress=progress)
    if report:
        with one_thread_but_for_blocks():
            _write_page(batch, outcome, options)
    else:
        batch.record("report.html").unlink(missing_ok=True)  # it would describe an earlier run
    _print_problems(batch, outcome)
    if not quiet:
        # What is odd about the inputs and does not spoil the results.
        warned = [row for row in outcome.results["findings"] if row["severity"] != "note" and row["trusted"]]
        print_warnings(warned, _MOST_LINES, "more; see report.html", names=len(outcome.entries) != 1)
        _print_outcome(batch, outcome, report)
    if outcome.failed:
        return _BAD_FILE if outcome.entries else int(outcome.failed[0]["exit_code"])
    return 0 if all(entry["trusted"] for entry in outcome.entries) else _NOT_TRUSTED


def _print_notes(batch: Batch) -> None:
    print_notes(batch.plan.notes)
    for why in dict.fromkeys(batch.passed.values()):
        first, *others = (path for path, reason in batch.passed.items() if reason == why)
        more = f", and {len(others)} more like it" if others else ""
        print_notes([f"ignored: {first} {why}{more}"])


def _print_problems(batch: Batch, outcome: Outcome) -> None:
    from vitruve.convert.summary import reasons

    failures = []
    for entry in outcome.failed:
        lines = [f"{entry['input']} skipped: {entry['what']}"]
        lines += [f"  {word}: {entry[word]}" for word in ("where", "do") if entry[word]]
        failures.append("\n".join(lines))
    print_first(failures, _MOST_LINES, "more; see failures.csv")
    untrusted = []
    for entry in outcome.entries:
        if not entry["trusted"]:
            why = "; ".join(reason for reason in reasons(entry) if reason not in batch.plan.notes)
            untrusted.append(f"DO NOT TRUST {entry['output'].removeprefix('../')}: {why}")
    print_first(untrusted, _MOST_LINES, "more; see report.html")


def _print_plan(batch: Batch, workers: int) -> None:
    plan = batch.plan
    rows = [("input", "frames", "fps", "seconds", "", "output")]
    for task in plan.tasks:
        rows.append((task.input, *_length(task.facts.frames, task.facts.fps), "to do", task.output))
    for entry in plan.done:
        output = str(batch.folder / entry["output"])
        rows.append((entry["input"], *_length(entry["frames"], entry["fps"]), "done", output))
    shown = rows[: 5 * _MOST_LINES]
    print_table(shown[0], shown[1:])
    if len(rows) > len(shown):
        print(f"and {len(rows) - len(shown)} more")
    for entry in plan.failed:
        print(f"bad: {entry['input']}: {entry['what']}")
    estimate = batch.estimate(workers, _ASSUMED_RATE)
    basis = "measured in this folder" if estimate.measured else "assumed"
    print(
        f"{len(plan.tasks)} to do ({plan.size:,} frames), {len(plan.done)} done, {len(plan.failed)} bad; about "
        f"{estimate.seconds / 60:.1f} minutes at {estimate.rate:,.0f} frames/s a process ({basis}), {workers} at a time"
    )
    print(f"nothing was written; results would go to {batch.out}")


def _length(frames: int, fps: float) -> tuple[str, str, str]:
    return (str(frames), f"{fps:g}", f"{frames / fps:.1f}") if fps else (str(frames), "-", "-")


def _print_outcome(batch: Batch, outcome: Outcome, report: bool) -> None:
    from vitruve.report.convert_page import figures

    if not (outcome.entries or outcome.failed):
        print(f"None of the files is in part {'/'.join(map(str, batch.shard))} of the work: nothing to do.")
        return
    print(f"{counted(len(outcome.entries), 'file')} converted, {outcome.now} of them now; {len(outcome.failed)} failed")
    if not outcome.entries:
        print(f"No motion was written; the errors are above and in {batch.record('failures.csv')}.")
        return
    for what, value in figures(outcome.results):
        print(f"  {what:<24}{value}")
    included = " and the report" if report else ""
    print(f"  {'whole command':<24}{process.seconds():.1f} s, with Python's startup{included}")
    for entry in outcome.entries if len(outcome.entries) == 1 else ():
        notes = [row["what"] for row in entry.get("findings", ()) if row["severity"] == "note"]
        for note in (*entry["warnings"], *notes):
            if note not in batch.plan.notes:  # printed already
                print(f"  note: {note}")
    page = batch.record("report.html")
    hint = f"open {page} in a browser" if report else f"the figures are in {batch.record('results.json')}"
    print(f"Written to {batch.out}; {hint}.")


def _write_page(batch: Batch, outcome: Outcome, options: Options) -> None:
    from vitruve.convert.convert_file import BIN_MM
    from vitruve.convert.summary import histogram, worst_first
    from vitruve.report.convert_page import conversion_page
    from vitruve.report.convert_pictures import how_to_look, load_shown, picture_blocks
    from vitruve.report.pose_pictures import pose_blocks

    worst, folder = worst_first(outcome.entries), batch.folder
    shown = load_shown(worst[0], folder, options.fps, options.up) if worst else None
    pictures = [*picture_blocks(shown), *how_to_look(worst[0], folder)] if shown else []
    pictures += pose_blocks(worst[0], folder) if worst else []
    bins = BIN_MM, histogram(outcome.entries)
    batch.run().report(conversion_page(outcome.results, worst, outcome.failed, bins, pictures))
