"""`vitruve convert`: motions made on one body become motions on another, one file or a whole data set."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli import process
from vitruve.cli.options import BodiesFolder, Count, Gender, Out, Rate
from vitruve.cli.plain_table import print_table
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve.convert.options import Options
    from vitruve.jobs.batch import Batch, Outcome

# Frames per second of one process that time is estimated with before anything was measured in the output folder.
_ASSUMED_RATE = 500.0
_BAD_FILE, _NOT_TRUSTED = 4, 5
# Rows that a terminal is shown.
_SHOWN = 20


def convert(  # noqa: PLR0913 (one parameter per option)
    *inputs: str,
    to: Annotated[str, Parameter(help="The body to go to; 'smplx' keeps each motion's gender.")],
    source: Annotated[
        str | None, Parameter(name="--from", help="The body of the inputs, if they do not say it.")
    ] = None,
    out: Out = Path("vitruve-convert"),
    betas: str | None = None,
    hands: str = "flat",
    format: str | None = None,
    bodies: BodiesFolder = None,
    source_fps: Rate = None,
    gender: Gender = None,
    mapping: str | None = None,
    up: Literal["z", "y"] = "z",
    points: Annotated[int | None, Parameter(validator=Number(gte=50))] = None,
    device: str = "cpu",
    workers: Count = 1,
    shard: str | None = None,
    cluster: str | None = None,
    report: Annotated[bool, Parameter(negative="--no-report")] = True,
    dry_run: bool = False,
    overwrite: bool = False,
    quiet: bool = False,
) -> int:
    """Convert motions to another body: one shape per clip, the same movement, the quality measured.

    What an earlier run into the same folder has done is not done again, unless an input, an option or a body has
    changed. A bad file is reported and skipped. The exit status is 4 where a file failed, and 5 where a result is not
    to be trusted without a look.

    Examples: `vitruve convert walk_poses.npz --to smplx`, `vitruve convert AMASS --to smplx-neutral --out AMASS_smplx
    --workers 8`, `vitruve convert take.bvh --to open-smplx --out take.npz`.

    Args:
        inputs: files, folders, patterns, or lists of paths (@files.txt).
        to: the body to go to.
        source: the body they were made on.
        out: a folder, which keeps the tree of the inputs; or a file for one input.
        betas: fit, zero, keep-if-same, or a file with betas; fit where left out, zero for single poses.
        hands: what a source without fingers gets: flat, mean, or a file with 90 axis-angle values.
        format: a name of docs/formats.md; that of the target body where left out.
        bodies: folder of licensed bodies, looked into before the usual places.
        source_fps: frames per second, for files that do not say, or say it wrong.
        gender: neutral, female or male, for files that do not say.
        mapping: mapping file for motions on a foreign skeleton (BVH, ASF/AMC), or "guess" (docs/retarget.md).
        up: the axis that points upwards in folders of meshes.
        points: about how many surface points the fit looks at; what the fit has proved good with where left out.
        device: where the fit is computed: cpu, cuda, cuda:1.
        workers: processes on this machine.
        shard: do only this part of the work, such as 2/8.
        cluster: address of a Dask scheduler that does the work instead.
        report: write report.html; --no-report leaves the page and its pictures out, and one of an earlier run goes.
        dry_run: say what would be done, and write nothing.
        overwrite: replace files that no earlier run has made.
        quiet: show no progress, notes and summary.
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
        device_of(device)  # says now what is not there
    part = parse_shard(shard) if shard else (1, 1)
    few = quiet or len(inputs) == 1
    with one_thread_but_for_blocks(), progress_bar("looking at files", "files", few) as progress:
        batch = prepare(inputs, options, out, folder=bodies, shard=part, overwrite=overwrite, progress=progress)
    if not quiet:
        _say_notes(batch)
    if dry_run:
        _show_plan(batch, workers)
        return 0
    with one_thread_but_for_blocks(), progress_bar("converting", "frames", quiet) as progress:
        outcome = carry_out(batch, workers=workers, cluster=cluster or "", progress=progress)
    if report:
        with one_thread_but_for_blocks():
            _write_page(batch, outcome, options)
    else:
        batch.record("report.html").unlink(missing_ok=True)  # it would tell of another run
    _say_problems(batch, outcome)
    if not quiet:
        _say_warnings(outcome)
        _show_outcome(batch, outcome, report)
    return _status(outcome)


def _status(outcome: Outcome) -> int:
    if outcome.failed:
        return _BAD_FILE if outcome.entries else int(outcome.failed[0]["exit_code"])
    return 0 if all(entry["trusted"] for entry in outcome.entries) else _NOT_TRUSTED


def _say_notes(batch: Batch) -> None:
    for note in batch.plan.notes:
        print(f"vitruve: note: {note}", file=sys.stderr)
    for why in dict.fromkeys(batch.passed.values()):
        first, *others = (path for path, reason in batch.passed.items() if reason == why)
        more = f", and {len(others)} more like it" if others else ""
        print(f"vitruve: note: passed over: {first} {why}{more}", file=sys.stderr)


def _say_problems(batch: Batch, outcome: Outcome) -> None:
    for entry in outcome.failed[:_SHOWN]:
        lines = [f"vitruve: {entry['input']} skipped: {entry['what']}"]
        lines += [f"  {word}: {entry[key]}" for word, key in (("where", "where"), ("do", "do")) if entry[key]]
        print("\n".join(lines), file=sys.stderr)
    if len(outcome.failed) > _SHOWN:
        print(f"vitruve: and {len(outcome.failed) - _SHOWN} more; see failures.csv", file=sys.stderr)
    from vitruve.convert.summary import reasons

    untrusted = [entry for entry in outcome.entries if not entry["trusted"]]
    for entry in untrusted[:_SHOWN]:
        why = "; ".join(reason for reason in reasons(entry) if reason not in batch.plan.notes)
        print(f"vitruve: DO NOT TRUST {entry['output'].removeprefix('../')}: {why}", file=sys.stderr)
    if len(untrusted) > _SHOWN:
        print(f"vitruve: and {len(untrusted) - _SHOWN} more; see report.html", file=sys.stderr)


def _say_warnings(outcome: Outcome) -> None:
    """What is odd about the inputs and does not spoil the results; each thing once, however many have it."""
    from vitruve.motion.finding import finding_text

    rows = [row for row in outcome.results["findings"] if row["severity"] != "note" and row["trusted"]]
    for row in rows[:_SHOWN]:
        more = f" and {row['clips'] - 1} more" if row["clips"] > 1 else ""
        whose = "" if len(outcome.entries) == 1 else f"{row['first']}{more}: "
        print(f"vitruve: warning: {whose}{finding_text(row)}", file=sys.stderr)
    if len(rows) > _SHOWN:
        print(f"vitruve: and {len(rows) - _SHOWN} more; see report.html", file=sys.stderr)


def _show_plan(batch: Batch, workers: int) -> None:
    plan = batch.plan
    rows = [("input", "frames", "fps", "seconds", "", "output")]
    for task in plan.tasks:
        rows.append((task.input, *_length(task.facts.frames, task.facts.fps), "to do", task.output))
    for entry in plan.done:
        output = str(batch.folder / entry["output"])
        rows.append((entry["input"], *_length(entry["frames"], entry["fps"]), "done", output))
    shown = rows[: 5 * _SHOWN]
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


def _show_outcome(batch: Batch, outcome: Outcome, report: bool) -> None:
    from vitruve.report.convert_page import figures

    if not (outcome.entries or outcome.failed):
        print(f"None of the files is in part {'/'.join(map(str, batch.shard))} of the work: nothing was to be done.")
        return
    print(f"{counted(len(outcome.entries), 'file')} converted, {outcome.now} of them now; {len(outcome.failed)} failed")
    if not outcome.entries:
        print(f"No motion was written; what went wrong stands above and in {batch.record('failures.csv')}.")
        return
    for what, value in figures(outcome.results):
        print(f"  {what:<24}{value}")
    print(f"  {'whole command':<24}{process.seconds():.1f} s, with Python's start{' and the report' if report else ''}")
    for entry in outcome.entries if len(outcome.entries) == 1 else ():
        notes = [row["what"] for row in entry.get("findings", ()) if row["severity"] == "note"]
        for note in (*entry["warnings"], *notes):
            if note not in batch.plan.notes:  # those are said already
                print(f"  note: {note}")
    look = "open {} in a browser" if report else "the figures stand in {}"
    look = look.format(batch.record("report.html" if report else "results.json"))
    print(f"Written to {batch.out}; {look}.")


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
