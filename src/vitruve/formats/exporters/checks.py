"""Check the options of an export before any work: format, axis, unit, body, morph targets, camera."""

from __future__ import annotations

from pathlib import Path

from vitruve.bodies import BodyModel
from vitruve.errors import BadData, UsageError, nearest
from vitruve.formats.exporters.table import EXPORTS, Export
from vitruve.geometry.camera import Camera
from vitruve.motion import Motion

# Default number of morph targets per kind, unless the motion has more coefficients.
_USUAL_MORPHS = 10


def format_of(path: Path, format: str = "") -> Export:
    """The row of EXPORTS for a format, or else for the suffix of a path."""
    return EXPORTS[ending_of(path, format)]


def ending_of(path: Path, format: str) -> str:
    """The suffix that is the key in EXPORTS."""
    ending = f".{format.lower().removeprefix('.')}" if format else path.suffix.lower()
    if ending == ".fbx":
        raise UsageError(
            "FBX is unsupported: it needs Blender or Autodesk's own library",
            where=str(path),
            fix="write a .glb and convert it with Blender; docs/export.md has the command",
        )
    if ending not in EXPORTS:
        shown = f"no export format has the suffix '{ending}'" if ending else "the output has no suffix"
        fix = nearest(ending, EXPORTS) if ending else f"use one of the suffixes {' '.join(EXPORTS)}"
        raise UsageError(shown, where=str(path), fix=fix)
    if path.suffix.lower() != ending and not EXPORTS[ending].folder:
        raise UsageError(f"{path.name} does not end in {ending}", where=str(path), fix=f"name it {path.name}{ending}")
    return ending


def choice(what: str, value: str, choices: tuple[str, ...], row: Export) -> str:
    """The value, or the format's default if it is empty."""
    if value and value not in choices:
        fix = f"omit it: it is '{choices[0]}'" if len(choices) == 1 else nearest(value, choices)
        raise UsageError(f"'{value}' is not a valid {what} for this format", where=row.line, fix=fix)
    return value or choices[0]


def check_body(motion: Motion, body: BodyModel | None, row: Export) -> None:
    """Raise if the format cannot hold the motion, or the body does not fit it."""
    if not motion.betas.isfinite().all():
        raise BadData("the shape is not finite", where="betas", fix="fix them, or set them to zero")
    if row.skeletons and motion.skeleton.name not in row.skeletons:
        raise UsageError(
            f"this format holds {' or '.join(row.skeletons)}, not {motion.skeleton.name}",
            where=row.line,
            fix="convert the motion first: vitruve convert FILE --to smplx",
        )
    if body is None and row.body == "needed":
        raise UsageError(
            "meshes need a body, but the motion is on a plain skeleton",
            where=f"{motion.skeleton.name}: {len(motion.skeleton)} joints",
            fix="retarget it to a body first: vitruve convert FILE --to open-smplx",
        )
    if body is not None and motion.skeleton.names != body.skeleton.names:
        joints = f"the motion is on {motion.skeleton.name} with {len(motion.skeleton)} joints"
        raise UsageError(
            f"the motion does not fit the body {body.name}",
            where=f"{joints}, the body has {body.num_joints}",
            fix=f"convert the motion first: vitruve convert FILE --to {body.name}",
        )


def morph_counts(text: str, motion: Motion, body: BodyModel | None, row: Export) -> tuple[int, int]:
    """(shapes, expressions) that become morph targets."""
    if not text:
        return 0, 0
    if not row.morphs:
        raise UsageError("this format has no morph targets", where=row.line, fix="write a .glb, or omit --morphs")
    counts = {"shape": 0, "expression": 0}
    available = {"shape": body.num_betas, "expression": body.num_expressions} if body else dict.fromkeys(counts, 0)
    used = {"shape": len(motion.betas), "expression": 0 if motion.expression is None else motion.expression.shape[1]}
    for part in text.split(","):
        kind, _, number = part.strip().partition(":")
        if kind.isdigit():
            kind, number = "expression", kind
        if kind not in counts or (number and not (number.isdigit() and int(number) > 0)):
            fix = "use shape, expression, shape:4, or a number of expressions; several with a comma"
            raise UsageError(f"invalid morph targets '{part}'", where="--morphs", fix=fix)
        count = int(number) if number else min(max(_USUAL_MORPHS, used[kind]), available[kind])
        most = available[kind]
        if not 0 < count <= most:
            name = body.name if body is not None else motion.skeleton.name
            fix = f"use at most {most}" if most else "omit them, or use a body that has them"
            raise UsageError(f"{name} has {most} {kind} morph targets", where=f"--morphs {text}", fix=fix)
        counts[kind] = count
    return counts["shape"], counts["expression"]


def check_camera(camera: Camera | None, row: Export, gaps: str) -> None:
    """Raise UsageError if the file cannot hold the camera."""
    if camera is None:
        return
    if not row.camera:
        raise UsageError("this format has no camera", where=row.line, fix="write a .glb, or omit --camera")
    if camera.moves and gaps == "drop":
        what = "dropping frames puts the clip out of step with a moving camera"
        raise UsageError(what, where="--camera with --gaps drop", fix="hold the gaps")
