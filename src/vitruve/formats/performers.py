"""Load motions, meshes and keypoints as performers: from files, folders, or objects already loaded.

walk, scan = load_performers(["walk_poses.npz", "meshes"], ["open-smplh", ""])
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import LICENSED
from vitruve.bodies.find_body import find_body
from vitruve.bodies.recognise import recognise as recognise_body
from vitruve.errors import MissingAsset, UsageError, VitruveError
from vitruve.formats import FORMATS, load_motion_at, recognise
from vitruve.formats.glimpse import glimpse
from vitruve.formats.readers.mesh_sequence import MeshSequence, read_mesh_sequence
from vitruve.motion import Keypoints, Motion
from vitruve.motion.body_of import body_of
from vitruve.motion.finding import finding_of_note
from vitruve.motion.performer import Performer, keypoint_performer, mesh_performer, motion_performer

Loaded = Motion | MeshSequence | Keypoints | Performer
Source = str | Path | Loaded
BodyChoice = str | BodyModel | None


def read_source(source: Source, source_fps: float | None = None, up: str = "z", gender: str | None = None) -> Loaded:
    """Load a motion file or a folder of meshes; an object already loaded is returned unchanged.

    Args:
        source: the file or folder.
        source_fps: frames per second, for files without a frame rate.
        up: the up axis of meshes, "y" or "z".
        gender: for motion files without a gender.
    """
    if not isinstance(source, str | Path):
        return source
    look = glimpse(source)
    if FORMATS[recognise(look)].holds == "meshes":
        return read_mesh_sequence(look.path, up=up)
    return load_motion_at(source, source_fps, gender)


def load_performers(
    sources: Sequence[Source],
    bodies: Sequence[BodyChoice] = (),
    *,
    names: Sequence[str] = (),
    folder: str | Path | None = None,
    source_fps: float | None = None,
    gender: str | None = None,
    mesh_fps: float | None = None,
    up: str = "z",
) -> list[Performer]:
    """Load motions with their bodies, meshes and keypoints.

    A motion uses the body that it names, or the open body of its layout if there is no file. Meshes of a known body
    are recognised. Meshes without a frame rate get that of the first motion in the list.

    Args:
        sources: files, folders, or objects already loaded.
        bodies: one per source: a name in the catalogue, a model file or a body; "" or None for the source's own.
        names: names of the performers; by default those of the files.
        folder: searched first for licensed bodies.
        source_fps: frames per second, for files without a frame rate and for meshes.
        gender: for motion files without a gender.
        mesh_fps: frames per second of meshes if nothing else gives it; None for an error.
        up: the up axis of meshes, "y" or "z".
    """
    loaded = [read_source(source, source_fps, up, gender) for source in sources]
    bodies, names = bodies or [None] * len(loaded), names or [""] * len(loaded)
    performers: dict[int, Performer] = {}
    for i, (source, body, name) in enumerate(zip(loaded, bodies, names, strict=True)):
        if isinstance(source, Motion):
            performers[i] = _of_motion(source, body, name, folder)
        elif isinstance(source, Keypoints):
            performers[i] = keypoint_performer(source, name)
        elif isinstance(source, Performer):
            performers[i] = replace(source, name=name or source.name)
    # Meshes last: they take frame rate and body from the others.
    for i, source in enumerate(loaded):
        if isinstance(source, MeshSequence):
            others, rates = list(performers.values()), (source_fps, mesh_fps)
            performers[i] = _of_meshes(source, bodies[i], names[i], others, rates, folder)
    return [performers[i] for i in range(len(loaded))]


def _of_motion(motion: Motion, which: BodyChoice, name: str, folder: str | Path | None) -> Performer:
    """The motion on the chosen body, or on its own, or on its joint tree if it has none."""
    if not (which or motion.body):
        # Notes of the BVH and ASF/AMC readers on units and axes explain many differences.
        return replace(motion_performer(motion, None, name), notes=motion.source.notes)
    file = motion.source.file
    where = f"{file or name or 'the motion'}: {motion.body_name or motion.skeleton.name}"
    try:
        body, warnings = body_of(motion, which or None, folder)
    except MissingAsset as error:
        has_open_body = not which and motion.body in LICENSED
        fix = f"{error.fix}: --body open-{motion.body}" if has_open_body else error.fix
        raise MissingAsset(error.what, f"{where}; {error.where}", fix) from None
    except UsageError as error:
        raise UsageError(error.what, where, f"name the body it was made on: --body BODY; {error.fix}") from None
    if body.skeleton.names != motion.skeleton.names:
        raise UsageError(
            f"a motion of {len(motion.skeleton)} joints was not made on '{body.name}', which has {body.num_joints}",
            where=where,
            fix="name a body of its layout (--body), or convert it: "
            f"vitruve convert {shlex.quote(file or 'FILE')} --to {body.name} --out FILE.npz",
        )
    if len(motion.betas) > body.num_betas and bool(motion.betas[body.num_betas :].any()):
        note = f"{body.name} has {body.num_betas} of its {len(motion.betas)} betas; the others are left out"
        warnings = [*warnings, note]
    expression = motion.expression
    if expression is not None and expression.shape[1] > body.num_expressions:
        expression = expression[:, : body.num_expressions]
    fitting = motion.replace(betas=motion.betas[: body.num_betas], expression=expression)
    decided = [finding_of_note(note) for note in motion.source.notes]
    notes = tuple(finding.what for finding in decided if finding.severity == "note")
    serious = [finding.what for finding in decided if finding.severity != "note"]
    return replace(motion_performer(fitting, body, name), notes=notes, warnings=(*warnings, *serious))


def _of_meshes(
    meshes: MeshSequence,
    which: BodyChoice,
    name: str,
    others: Sequence[Performer],
    rates: tuple[float | None, float | None],
    folder: str | Path | None,
) -> Performer:
    where = str(meshes.files[0].parent) if meshes.files else ""
    name = name or Path(where).name or "meshes"
    fps = rates[0] or next((other.fps for other in others if other.kind != "meshes"), None) or rates[1]
    if fps is None:
        raise UsageError("meshes have no frame rate", where=where or name, fix="set it: --source-fps 30")
    notes = (f"its files have no frame rate; {fps:g} fps was taken",)
    body, warnings = _body_of_meshes(meshes, which, name, others, folder)
    performer = mesh_performer(meshes.vertices, meshes.faces, fps, body, name)
    return replace(performer, notes=notes, warnings=warnings)


def _body_of_meshes(
    meshes: MeshSequence, which: BodyChoice, name: str, others: Sequence[Performer], folder: str | Path | None
) -> tuple[BodyModel | None, tuple[str, ...]]:
    """The body of the meshes and warnings; None if it is unknown."""
    count = meshes.vertices.shape[1]
    if which:
        body, warnings = find_body(which, "neutral", folder)
        if body.num_vertices != count:
            raise UsageError(
                f"{name} are not meshes of {body.name}",
                where=f"{count} vertices, the body has {body.num_vertices}",
                fix="name the body that they were made with, or omit it to have it recognised",
            )
        return body, tuple(warnings)
    # Damaged meshes must be comparable too, so check only the counts.
    for other in others:
        body = other.body
        if body is not None and count == body.num_vertices and len(meshes.faces) in (0, len(body.faces)):
            return body, ()
    try:
        return recognise_body(meshes.vertices, meshes.faces, folder=folder, where=name), ()
    except VitruveError:
        return None, ()
