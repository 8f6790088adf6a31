"""The page about conversions: verdict, figures, where and when the error is, pictures, files worst first, licences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import vitruve
from vitruve.motion.finding import finding_text
from vitruve.report.blocks import Block, Drawing, Heading, Note, Table, page
from vitruve.report.credits import credits, likely_sources
from vitruve.report.findings import findings_table
from vitruve.report.plots import bars, histogram, line_plot
from vitruve.words import counted

Entry = Mapping[str, Any]

# A page must stay readable: so many files, failures and warnings are shown.
_MOST_FILES, _MOST_FAILURES, _MOST_WARNINGS = 100, 50, 30
# Rows of the figures that a page shows further down, where it speaks of time.
_OF_TIME = {"rate of a process": "is the rate of one process", "this run": "was this run"}


def conversion_page(
    results: Mapping[str, Any],
    entries: Sequence[Entry],
    failed: Sequence[Entry] = (),
    bins: tuple[float, Sequence[float]] | None = None,
    pictures: Sequence[Block] = (),
) -> str:
    """The page as text.

    Args:
        results: the content of `results.json`.
        entries: ledger lines of the files that are done, worst first.
        failed: lines of those that failed.
        bins: width of a bin of mean error in mm, and how many frames are in each bin from 0.
        pictures: of the first entry, from `conversion_pictures`.
    """
    alone = len(entries) == 1
    title = Path(entries[0]["output"]).name if alone else counted(len(entries), "file")
    blocks: list[Block] = [_verdict(entries, failed), *_in_short(results, entries)]
    if entries:
        bodies = sorted({(_from(entry), entry["target"]) for entry in entries})
        blocks.append(Note("\n".join(f"From {source} to {target}." for source, target in bodies[:12])))
    rows = dict(figures(results))
    spent = {what: rows.pop(what) for what in (*_OF_TIME, "where the time went") if what in rows}
    if alone and entries[0]["worst_frames"]:
        rows[f"worst {_unit_of(entries)}s"] = ", ".join(f"{frame:,}" for frame in entries[0]["worst_frames"][:3])
    blocks += [
        *_warnings(entries, results.get("findings", [])),
        *_failures(failed),
        Heading("Figures"),
        Table(("what", "value"), list(rows.items())),
    ]
    if alone:
        blocks += [*pictures, *error_over_time(entries[0], _unit_of(entries[:1]))]
    unit = _unit(results)
    if bins and sum(bins[1]):
        plot = histogram(*bins, f"mean error of a {unit}, mm", f"{unit}s")
        blocks += [Heading(f"How many {unit}s have which error"), Drawing(plot, f"All {unit}s by their mean error.")]
    blocks += error_by_part(results["error_mm"]["groups"], results.get("kinds") == ["skeleton"], unit)
    if not alone:
        blocks += _files(entries)
        if entries:
            blocks += [
                Heading(f"The worst file: {_shown(entries[0])}"),
                *error_over_time(entries[0], _unit_of(entries[:1])),
                *pictures,
            ]
    blocks += _oddities(results.get("findings", []), alone)
    blocks += time_by_stage(results["stages"])
    blocks += [Note(f"{spent[what]} {words}.") for what, words in _OF_TIME.items() if spent.get(what, "-") != "-"]
    blocks += _credits(entries)
    return page(f"Conversion: {title}", blocks, footer=f"Made by vitruve {vitruve.__version__}: vitruve convert")


def error_over_time(entry: Mapping[str, Any], unit: str = "frame") -> list[Block]:
    """The curve of a file's error: `curve` is that of `ErrorReport.curve`, `shown_frames` are marked."""
    curve = entry.get("curve")
    if not curve or not curve["frame"]:
        return []
    frames, marks = curve["frame"], entry.get("shown_frames")
    mean, largest = (
        line_plot({word: (frames, curve[key])}, unit, f"{word} error, mm", marks=marks, from_zero=True)
        for word, key in (("mean", "mean_mm"), ("largest", "max_mm"))
    )
    said = "" if len(frames) == entry["frames"] else f" {len(frames)} of {entry['frames']:,} {unit}s are drawn."
    return [
        Heading(f"Error {unit} by {unit}"),
        Drawing(mean, f"Mean distance to the source over the points of a {unit}.{said}"),
        Drawing(largest, "The largest distance of any point."),
    ]


def error_by_part(groups: Mapping[str, float | None], joints: bool = False, unit: str = "frame") -> list[Block]:
    """The mean error of each part of the body, or of each joint, largest first."""
    known = {name.replace("_", " "): value for name, value in groups.items() if value is not None}
    if not known:
        return []
    ordered = dict(sorted(known.items(), key=lambda item: -item[1]))
    plot = bars(ordered, "mm")
    if joints:
        said = (
            "Mean over all frames. Joints to which the mapping gives no weight, since they stand elsewhere in the "
            "skeleton than on the body, are shown too, and do not count in the figures above."
        )
        return [Heading("Mean error by joint"), Drawing(plot, said)]
    said = f"Mean over all {unit}s and points of the part."
    return [Heading("Mean error by part of the body"), Drawing(plot, said)]


def time_by_stage(stages: Mapping[str, float]) -> list[Block]:
    """Where the time went."""
    known = {stage: seconds for stage, seconds in stages.items() if seconds > 0.001}
    if not known:
        return []
    caption = f"Seconds by stage, {sum(stages.values()):.2f} s in all; what a process needs once is not in it."
    return [Heading("Where the time went"), Drawing(bars(known, "s"), caption)]


def figures(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a summary shows, as (what, value)."""
    error, this_run, unit = results["error_mm"], results.get("this_run", {}), _unit(results)
    length = f", {_duration(results['motion_hours'])}" if results["motion_hours"] else ""
    rows = [
        ("motion", f"{results['frames']:,} frames{length}") if unit == "frame" else ("poses", f"{results['frames']:,}"),
        ("mean error", _mm(error["mean"])),
        ("95th percentile", _mm(error["p95"])),
        ("largest error", _mm(error["max"])),
        (
            "rate of a process",
            f"{results['frames_per_second']:,.0f} {unit}s/s" if results["frames_per_second"] else "-",
        ),
    ]
    if unit == "frame":
        rows.insert(4, ("jitter added", f"{_mm(results['jitter_mm'])} a frame squared"))
    if results["map_residual_mm"]:
        rows.insert(2, ("of it the surface map", _mm(results["map_residual_mm"])))
    if this_run.get("frames_per_second"):
        rate = f"{this_run['frames_per_second']:,.0f} {unit}s/s, {this_run['seconds']:.1f} s of converting"
        rows.append(("this run", rate))
    if results["failed_frames"]:
        rows.append((f"{unit}s not fitted", f"{results['failed_frames']:,}, masked"))
    if results["masked_frames"]:
        rows.append((f"{unit}s without data", f"{results['masked_frames']:,}, masked as in the input"))
    if results.get("warned"):
        rows.append(("odd inputs", f"{counted(results['warned'], 'file')} with warnings"))
    if results["untrusted"]:
        rows.append(("not to be trusted", counted(results["untrusted"], "file")))
    shares = [(stage, seconds) for stage, seconds in results["stages"].items() if seconds > 0.001]
    rows.append(("where the time went", ", ".join(f"{stage} {seconds:.2f} s" for stage, seconds in shares)))
    return rows


def _verdict(entries: Sequence[Entry], failed: Sequence[Entry]) -> Note:
    untrusted = sum(not entry["trusted"] for entry in entries)
    problems = []
    if untrusted:
        which = "The result is" if len(entries) == 1 else f"{untrusted:,} of {len(entries):,} results are"
        problems.append(f"{which} not to be trusted without a look; the warnings say why.")
    if failed:
        problems.append(f"{counted(len(failed), 'file')} could not be converted.")
    if problems:
        return Note("\n".join(problems), "warning")
    if not entries:
        return Note("There was nothing to convert in this part of the work.")
    count = "The file was" if len(entries) == 1 else f"All {counted(len(entries), 'file')} were"
    return Note(f"{count} converted, and no error is so large that the result needs a look before it is used.", "good")


def _in_short(results: Mapping[str, Any], entries: Sequence[Entry]) -> list[Block]:
    """How far the results are from their sources, and where to look first."""
    error = results["error_mm"]
    if error["mean"] is None:
        return []
    joints, one = results.get("kinds") == ["skeleton"], len(entries) == 1
    whose = ("Its" if one else "Their") + (" joints are" if joints else " surface is" if one else " surfaces are")
    said = f"{whose} {_mm(error['mean'])} from the source's on average; 95 % of the points are nearer than "
    said += f"{_mm(error['p95'])}, the farthest is {_mm(error['max'])} away."
    groups = {name: value for name, value in error["groups"].items() if value is not None}
    if groups and not joints:
        worst = max(groups, key=lambda name: groups[name])
        said += f" The error is largest at the {worst.replace('_', ' ')}, {_mm(groups[worst])} on average."
    if results["map_residual_mm"]:
        said += (
            f" The map between the two surfaces alone is off by {_mm(results['map_residual_mm'])}: no fit can undo it."
        )
    return [Note(said)]


def _warnings(entries: Sequence[Entry], findings: Sequence[Mapping[str, Any]]) -> list[Block]:
    """What the conversions warn of, and what is seriously odd about their inputs: that which spoils results first."""
    serious = sorted((row for row in findings if row["severity"] != "note"), key=lambda row: row["trusted"])
    said = {finding_text(row): (row["first"], row["clips"]) for row in serious}
    for entry in entries:
        for warning in entry["warnings"]:
            first, count = said.get(warning, (_shown(entry), 0))
            said[warning] = first, count + 1
    if not said:
        return []
    notes: list[Block] = [Heading("Warnings")]
    for warning, (first, count) in list(said.items())[:_MOST_WARNINGS]:
        more = f" and {count - 1:,} more" if count > 1 else ""
        whose = f"{first}{more}: " if len(entries) > 1 else ""
        notes.append(Note(f"{whose}{warning}", "warning"))
    if len(said) > _MOST_WARNINGS:
        notes.append(Note(f"And {len(said) - _MOST_WARNINGS:,} more warnings; all stand in the ledger."))
    return notes


def _oddities(rows: Sequence[Mapping[str, Any]], alone: bool) -> list[Block]:
    """What is odd about the inputs, and what their readers had to decide."""
    if not rows:
        return []
    shown = rows[:_MOST_WARNINGS]
    blocks: list[Block] = [
        Heading(f"What is odd about the input{'' if alone else 's'}"),
        findings_table(shown, "" if alone else "files"),
    ]
    if len(rows) > len(shown):
        blocks.append(Note(f"And {len(rows) - len(shown):,} more; all stand in results.json."))
    return blocks


def _files(entries: Sequence[Entry]) -> list[Block]:
    if not entries:
        return []
    unit = _unit_of(entries)
    header = ("file", f"{unit}s", "mean mm", "p95 mm", "max mm", "jitter mm", f"worst {unit}s", "")
    rows = []
    for entry in entries[:_MOST_FILES]:
        error = entry["error_mm"]
        worst = ", ".join(str(frame) for frame in entry["worst_frames"][:3])
        jitter = "-" if _are_poses(entry) else f"{entry['jitter_mm']:.2f}"
        numbers = (*(f"{error[key]:.2f}" for key in ("mean", "p95", "max")), jitter)
        rows.append((_shown(entry), entry["frames"], *numbers, worst, "" if entry["trusted"] else "not trusted"))
    more = f", the {_MOST_FILES} worst of {len(entries):,}" if len(entries) > _MOST_FILES else ""
    return [Heading(f"Files, worst first{more}"), Table(header, rows)]


def _failures(failed: Sequence[Entry]) -> list[Block]:
    if not failed:
        return []
    rows = [(entry["input"], entry["what"], entry["where"], entry["do"]) for entry in failed[:_MOST_FAILURES]]
    more = f", {_MOST_FAILURES} of {len(failed):,}: all stand in failures.csv" if len(failed) > _MOST_FAILURES else ""
    return [Heading(f"Not converted{more}"), Table(("file", "what", "where", "what to do"), rows)]


def _credits(entries: Sequence[Entry]) -> list[Block]:
    if not entries:
        return []
    bodies = sorted(
        {name for entry in entries for key in ("source", "target") for name in entry[key].split("+") if name}
    )
    facts = [entry["facts"] for entry in entries]
    # AMASS's files are known by their layout, which others use too.
    layouts = [fact["body"] for fact in facts if fact["kind"] == "motion"]
    return credits(bodies, likely=likely_sources(sorted({fact["skeleton"] for fact in facts}), sorted(set(layouts))))


def _are_poses(entry: Entry) -> bool:
    return entry["facts"]["kind"] == "poses"


def _unit(results: Mapping[str, Any]) -> str:
    """What is counted: frames, or single poses."""
    return "pose" if results.get("kinds") == ["poses"] else "frame"


def _unit_of(entries: Sequence[Entry]) -> str:
    return "pose" if all(map(_are_poses, entries)) else "frame"


def _shown(entry: Entry) -> str:
    """The output's name; a single file stands beside the folder that the name counts from."""
    return entry["output"].removeprefix("../")


def _from(entry: Entry) -> str:
    facts = entry["facts"]
    return entry["source"] or ("meshes" if facts["kind"] == "meshes" else f"the skeleton {facts['skeleton']}")


def _mm(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} mm"


def _duration(hours: float) -> str:
    if hours >= 1:
        return f"{hours:,.1f} hours"
    return f"{60 * hours:.1f} minutes" if hours >= 1 / 60 else f"{3600 * hours:.1f} s"
