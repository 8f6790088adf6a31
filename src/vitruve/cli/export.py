"""`vitruve export`: a motion as a file for other programs."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from vitruve.cli.options import BodiesFolder, DryRun, Gender, Json, Out, Overwrite, PositiveFloat, Quiet, SourceFps
from vitruve.cli.output import print_notes
from vitruve.words import counted

if TYPE_CHECKING:
    from vitruve import BodyModel, Motion
    from vitruve.formats.exporters.export_motion import Exported
    from vitruve.geometry.camera import Camera

_NOT_TRUSTED = 5


def export(  # noqa: PLR0913 (one parameter per option)
    motion: Path,
    *,
    out: Out,
    format: str | None = None,
    body: str | None = None,
    bodies: BodiesFolder = None,
    frames: str | None = None,
    fps: PositiveFloat = None,
    source_fps: SourceFps = None,
    gender: Gender = None,
    gaps: Literal["hold", "drop"] | None = None,
    up: str | None = None,
    unit: str | None = None,
    morphs: str | None = None,
    camera: Path | None = None,
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Write a motion for another program: GLB, BVH, OBJ or PLY meshes, the SMPL-X Blender add-on's npz, USD.

    The suffix of the output gives the format. The summary says what the file holds, how far a skinned mesh is from the
    body, and what was lost; docs/export.md has the table. The exit status is 5 where the motion is not to be trusted.

    Examples: `vitruve export walk.npz -o walk.glb`, `vitruve export walk.npz -o walk.glb --morphs expression --frames
    0:300`, `vitruve export walk.npz -o walk.bvh --unit m`, `vitruve export walk.npz -o meshes --format obj`.

    Args:
        motion: a motion file of any supported format.
        out: the file; for meshes of several frames a folder.
        format: glb, bvh, obj, ply, npz, usda, usdc or usd, where the suffix does not tell.
        body: the body to show it on, a name or a file; by default that of the motion.
        frames: a part of the clip: first frame, end, and step, such as 0:300, 100: or ::2; or one frame.
        fps: resample to this frame rate.
        gaps: frames without valid data repeat the last valid one, or are left out.
        up: the axis that points up in the file, y or z; by default that of the format.
        unit: of lengths in the file: m, cm, mm or inch; by default that of the format.
        morphs: morph targets of GLB and USD: shape, expression, both (shape,expression), or a number of expressions.
        camera: a camera file (docs/render.md), for a GLB.
    """
    from vitruve import load_motion
    from vitruve.formats.exporters.export_motion import export_motion
    from vitruve.formats.fields import kept_gender
    from vitruve.formats.left_out import left_out
    from vitruve.motion.checks import inspect_with_notes
    from vitruve.motion.editing import frame_range
    from vitruve.runs import progress_bar

    clip = load_motion(motion, fps=source_fps, gender=gender)
    chosen = slice(None) if frames is None else frame_range(frames, len(clip))
    view = _camera(camera, clip, chosen) if camera else None
    clip = clip[chosen]
    model, notes = _body(clip, body, bodies, out, format)
    notes = [*kept_gender(clip.gender, gender), *notes]
    options = {"format": format, "gaps": gaps, "up": up, "unit": unit, "morphs": morphs}
    with progress_bar("writing", "frames", quiet or as_json) as progress:
        done = export_motion(
            clip,
            out,
            body=model,
            fps=fps,
            camera=view,
            overwrite=overwrite,
            dry_run=dry_run,
            progress=progress,
            **{key: value for key, value in options.items() if value is not None},
        )
    is_complete = done.format == ".npz" and clip.source.format == "amass-smplx"
    lost = "" if is_complete else left_out(clip.source.extras)
    notes = [*notes, *done.notes, *([f"left out: {lost}"] if lost else [])]
    found = [asdict(finding) for finding in inspect_with_notes(clip)]
    if as_json:
        print(json.dumps({**done.as_json(), "notes": notes, "findings": found, "written": not dry_run}, indent=2))
    else:
        _print_findings([row for row in found if not (quiet and row["trusted"])], clip)
        print_notes([] if quiet else notes)
    if not (as_json or quiet):
        _print_summary(done, dry_run)
    return 0 if dry_run or all(row["trusted"] for row in found) else _NOT_TRUSTED


def _print_findings(found: list[dict[str, Any]], clip: Motion) -> None:
    """Warnings and errors; of the notes only those of the reader, which say what it had to decide."""
    from vitruve.motion.finding import finding_text

    for row in found:
        if row["severity"] != "note" or row["what"] in clip.source.notes:
            word = row["severity"] if row["trusted"] else "DO NOT TRUST"
            print(f"vitruve: {word}: {finding_text(row)}", file=sys.stderr)


def _body(
    clip: Motion, named: str | None, folder: Path | None, out: Path, format: str | None
) -> tuple[BodyModel | None, list[str]]:
    """The body to show the clip on, None where none is needed, and notes on the choice."""
    from vitruve.formats.exporters.checks import format_of
    from vitruve.motion.body_of import body_of

    if format_of(out, format or "").body == "not used" or (named is None and not clip.body):
        return None, []
    return body_of(clip, named, folder)


def _camera(path: Path, clip: Motion, chosen: slice) -> Camera:
    """The camera of a file at the frames that are exported; after its last frame it stays still."""
    import torch

    from vitruve.formats.readers.camera_file import read_camera

    camera = read_camera(path)
    if not camera.moves:
        return camera
    rate = (camera.fps or clip.fps) / clip.fps
    places = [min(round(frame * rate), len(camera) - 1) for frame in range(len(clip))[chosen]]
    return replace(camera[torch.tensor(places)], fps=clip.fps / (chosen.step or 1))


def _print_summary(done: Exported, dry_run: bool) -> None:
    size = f", {done.bytes / 1e6:.1f} MB" if done.bytes >= 1e5 else f", {done.bytes / 1e3:.1f} kB" if done.bytes else ""
    print(f"{'would write' if dry_run else 'Written to'} {done.path}{size}")
    print(f"  frames   {done.frames}, {done.fps:g} fps, {done.seconds:.2f} s")
    print(f"  world    {done.up} up, lengths in {done.unit}")
    if done.body:
        print(f"  body     {done.body}")
    if done.joints:
        print(f"  names    {len(done.joints)} joints: {', '.join(done.joints[:3])}, ... {done.joints[-1]}")
    if done.morphs:
        print(f"  morphs   {len(done.morphs)}: {done.morphs[0]} to {done.morphs[-1]}")
    if done.difference is not None:
        away = done.difference
        print(
            f"  skinned  {away.mean_mm:.2f} mm from the body on average, {away.max_mm:.1f} mm at the most "
            f"({counted(away.frames, 'frame')} measured)"
        )
        print(f"           weights beyond four joints {away.weights_mm:.2f} mm, joints {away.joints_mm:.2f} mm at most")
