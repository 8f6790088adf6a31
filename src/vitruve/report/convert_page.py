"""The page about conversions: verdict, figures, where and when the error is, pictures, files worst first, licences."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from vitruve.motion.finding import finding_text
from vitruve.report.blocks import Block, Drawing, Heading, Note, Table, made_by, page
from vitruve.report.credits import credits, likely_sources
from vitruve.report.findings import findings_table
from vitruve.report.plots import bars, histogram, line_plot
from vitruve.words import counted

Entry = Mapping[str, Any]

# How many files, failures and warnings a page shows.
_MOST_FILES, _MOST_FAILURES, _MOST_WARNINGS = 100, 50, 30
# Figures that the page shows in its section on time.
_SENTENCES = {"rate of a process": "is the rate of one process", "this run": "was this run"}


def conversion_page(
    results: Mapping[str, Any],
    entries: Sequence[Entry],
    failed: Sequence[Entry] = (),
    bins: tuple[float, Sequence[float]] | None = None,
    pictures: Sequence[Block] = (),
) -> str:
    """The page as HTML.

    Args:
        results: the content of `results.json`.
        entries: ledger lines of the files that are done, worst first.
        failed: lines of those that failed.
        bins: width of a bin of mean error in mm, and how many frames are in each bin from 0.
        pictures: of the first entry, from `conversion_pictures`.
    """
    alone, unit = len(entries) == 1, _unit(results)
    findings = results.get("findings", [])
    title = Path(entries[0]["output"]).name if alone else counted(len(entries), "file")
    rows = dict(figures(results))
    times = {what: rows.pop(what) for what in (*_SENTENCES, "where the time went") if what in rows}
    if alone and entries[0]["worst_frames"]:
        rows[f"worst {_unit_of(entries)}s"] = ", ".join(f"{frame:,}" for frame in entries[0]["worst_frames"][:3])
    bodies = sorted({(_from(entry), entry["target"]) for entry in entries})[:12]
    blocks: list[Block] = [_verdict(entries, failed), *_in_short(results, entries)]
    if bodies:
        blocks.append(Note("\n".join(f"From {source} to {target}." for source, target in bodies)))
    blocks += [*_warnings(entries, findings), *_failures(failed)]
    blocks += [Heading("Figures"), Table(("what", "value"), list(rows.items()))]
    curve = error_over_time(entries[0], _unit_of(entries[:1])) if entries else []
    if alone:
        blocks += [*pictures, *curve]
    if bins and sum(bins[1]):
        plot = histogram(*bins, f"mean error of a {unit}, mm", f"{unit}s")
        blocks += [Heading(f"How many {unit}s have which error"), Drawing(plot, f"All {unit}s by their mean error.")]
    blocks += error_by_part(results["error_mm"]["groups"], results.get("kinds") == ["skeleton"], unit)
    if len(entries) > 1:
        blocks += [*_files(entries), Heading(f"The worst file: {_name(entries[0])}"), *curve, *pictures]
    if findings:
        table = findings_table(findings[:_MOST_WARNINGS], "" if alone else "files")
        blocks += [Heading(f"What is odd about the input{'' if alone else 's'}"), table]
        blocks += _rest(findings, _MOST_WARNINGS, "more; all are in results.json")
    blocks += time_by_stage(results["stages"])
    blocks += [Note(f"{times[what]} {words}.") for what, words in _SENTENCES.items() if times.get(what, "-") != "-"]
    return page(f"Conversion: {title}", [*blocks, *_credits(entries)], made_by("convert"))


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
    sampled = "" if len(frames) == entry["frames"] else f" {len(frames)} of {entry['frames']:,} {unit}s are drawn."
    return [
        Heading(f"Error {unit} by {unit}"),
        Drawing(mean, f"Mean distance to the source over the points of a {unit}.{sampled}"),
        Drawing(largest, "The largest distance of any point."),
    ]


def error_by_part(groups: Mapping[str, float | None], joints: bool = False, unit: str = "frame") -> list[Block]:
    """The mean error of each part of the body, or of each joint, largest first."""
    known = [(name.replace("_", " "), value) for name, value in groups.items() if value is not None]
    if not known:
        return []
    plot = bars(dict(sorted(known, key=lambda item: -item[1])), "mm")
    if not joints:
        caption = f"Mean over all {unit}s and points of the part."
        return [Heading("Mean error by part of the body"), Drawing(plot, caption)]
    caption = (
        "Mean over all frames. Joints without weight in the mapping, which have another place in the skeleton than on "
        "the body, are shown too, and do not count in the figures above."
    )
    return [Heading("Mean error by joint"), Drawing(plot, caption)]


def time_by_stage(stages: Mapping[str, float]) -> list[Block]:
    """Where the time went."""
    known = {stage: seconds for stage, seconds in stages.items() if seconds > 0.001}
    if not known:
        return []
    caption = f"Seconds by stage, {sum(stages.values()):.2f} s in all, without the startup of a process."
    return [Heading("Where the time went"), Drawing(bars(known, "s"), caption)]


def figures(results: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures of a summary, as (what, value)."""
    error, run, unit = results["error_mm"], results.get("this_run", {}), _unit(results)
    poses = unit == "pose"
    frames = f"{results['frames']:,}"
    hours = f", {_duration(results['motion_hours'])}" if results["motion_hours"] else ""
    surface_map, rate = results["map_residual_mm"], results["frames_per_second"]
    stages = [f"{stage} {seconds:.2f} s" for stage, seconds in results["stages"].items() if seconds > 0.001]
    rows = [
        ("poses", frames) if poses else ("motion", f"{frames} frames{hours}"),
        ("mean error", _mm(error["mean"])),
        ("of it the surface map", _mm(surface_map) if surface_map else ""),
        ("95th percentile", _mm(error["p95"])),
        ("largest error", _mm(error["max"])),
        ("jitter added", "" if poses else f"{_mm(results['jitter_mm'])} a frame squared"),
        ("rate of a process", f"{rate:,.0f} {unit}s/s" if rate else "-"),
    ]
    if run.get("frames_per_second"):
        rows.append(("this run", f"{run['frames_per_second']:,.0f} {unit}s/s, {run['seconds']:.1f} s of converting"))
    if results["failed_frames"]:
        rows.append((f"{unit}s not fitted", f"{results['failed_frames']:,}, masked"))
    if results["masked_frames"]:
        rows.append((f"{unit}s without data", f"{results['masked_frames']:,}, masked as in the input"))
    if results.get("warned"):
        rows.append(("odd inputs", f"{counted(results['warned'], 'file')} with warnings"))
    if results["untrusted"]:
        rows.append(("not to be trusted", counted(results["untrusted"], "file")))
    return [*(row for row in rows if row[1]), ("where the time went", ", ".join(stages))]


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
    text = f"{whose} {_mm(error['mean'])} from the source's on average; 95 % of the points are nearer than "
    text += f"{_mm(error['p95'])}, the farthest is {_mm(error['max'])} away."
    groups = {name: value for name, value in error["groups"].items() if value is not None}
    if groups and not joints:
        worst = max(groups, key=lambda name: groups[name])
        text += f" The error is largest at the {worst.replace('_', ' ')}, {_mm(groups[worst])} on average."
    if results["map_residual_mm"]:
        residual = _mm(results["map_residual_mm"])
        text += f" The map between the two surfaces alone is off by {residual}, which no fit can remove."
    return [Note(text)]


def _warnings(entries: Sequence[Entry], findings: Sequence[Mapping[str, Any]]) -> list[Block]:
    """Warnings of the conversions and serious findings about their inputs, those that spoil results first."""
    serious = sorted((row for row in findings if row["severity"] != "note"), key=lambda row: row["trusted"])
    files = {finding_text(row): (row["first"], row["clips"]) for row in serious}
    for entry in entries:
        for warning in entry["warnings"]:
            first, count = files.get(warning, (_name(entry), 0))
            files[warning] = first, count + 1
    if not files:
        return []
    blocks: list[Block] = [Heading("Warnings")]
    for warning, (first, count) in list(files.items())[:_MOST_WARNINGS]:
        more = f" and {count - 1:,} more" if count > 1 else ""
        blocks.append(Note(f"{first}{more}: {warning}" if len(entries) > 1 else warning, "warning"))
    return [*blocks, *_rest(files, _MOST_WARNINGS, "more warnings; all are in the ledger")]


def _rest(items: Collection[Any], most: int, words: str) -> list[Block]:
    return [Note(f"And {len(items) - most:,} {words}.")] if len(items) > most else []


def _files(entries: Sequence[Entry]) -> list[Block]:
    unit = _unit_of(entries)
    header = ("file", f"{unit}s", "mean mm", "p95 mm", "max mm", "jitter mm", f"worst {unit}s", "")
    rows = []
    for entry in entries[:_MOST_FILES]:
        errors = [f"{entry['error_mm'][key]:.2f}" for key in ("mean", "p95", "max")]
        jitter = "-" if _is_poses(entry) else f"{entry['jitter_mm']:.2f}"
        worst = ", ".join(map(str, entry["worst_frames"][:3]))
        rows.append((_name(entry), entry["frames"], *errors, jitter, worst, "" if entry["trusted"] else "not trusted"))
    more = f", the {_MOST_FILES} worst of {len(entries):,}" if len(entries) > _MOST_FILES else ""
    return [Heading(f"Files, worst first{more}"), Table(header, rows)]


def _failures(failed: Sequence[Entry]) -> list[Block]:
    if not failed:
        return []
    rows = [(entry["input"], entry["what"], entry["where"], entry["do"]) for entry in failed[:_MOST_FAILURES]]
    more = f", {_MOST_FAILURES} of {len(failed):,}: all are in failures.csv" if len(failed) > _MOST_FAILURES else ""
    return [Heading(f"Not converted{more}"), Table(("file", "what", "where", "what to do"), rows)]


def _credits(entries: Sequence[Entry]) -> list[Block]:
    if not entries:
        return []
    names = {name for entry in entries for key in ("source", "target") for name in entry[key].split("+") if name}
    facts = [entry["facts"] for entry in entries]
    # AMASS's files are recognised by their layout, which others use too.
    layouts = {fact["body"] for fact in facts if fact["kind"] == "motion"}
    return credits(sorted(names), likely=likely_sources(sorted({fact["skeleton"] for fact in facts}), sorted(layouts)))


def _is_poses(entry: Entry) -> bool:
    return entry["facts"]["kind"] == "poses"


def _unit(results: Mapping[str, Any]) -> str:
    """What is counted: frames, or single poses."""
    return "pose" if results.get("kinds") == ["poses"] else "frame"


def _unit_of(entries: Sequence[Entry]) -> str:
    return "pose" if all(map(_is_poses, entries)) else "frame"


def _name(entry: Entry) -> str:
    """The output's path, without the "../" of a single file beside the folder that it is relative to."""
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
