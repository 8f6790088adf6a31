"""Whatever moves as a `Performer`: motion files, folders of meshes, and what is loaded already.

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
    """A motion file or a folder of meshes; what is loaded already is given back as it is.

    Args:
        source: the file or folder.
        source_fps: frames per second, for files that do not say.
        up: the axis that points upwards in meshes.
        gender: of motions whose files do not say it.
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
    """Motions with the bodies they are on, meshes and keypoints.

    A motion that names its body is on it, or on the open body of its layout where there is no file. Meshes are
    recognised where they are those of a body at hand. They run at the rate of the first motion beside them where none
    is given.

    Args:
        sources: files, folders, or what is loaded already.
        bodies: for each of them a name in the catalogue, a model file or a body; "" or None for what it says itself.
        names: what they are called; their files' names where left out.
        folder: where licensed bodies lie, before the usual places.
        source_fps: frames per second, for files that do not say, and for meshes.
        gender: of motions whose files do not say it.
        mesh_fps: frames per second of meshes where nothing says it; an error where None.
        up: the axis that points upwards in meshes.
    """
    loaded = [read_source(source, source_fps, up, gender) for source in sources]
    wanted = list(bodies) or [None] * len(loaded)
    called = list(names) or [""] * len(loaded)
    found: dict[int, Performer] = {}
    for i, (source, body, name) in enumerate(zip(loaded, wanted, called, strict=True)):
        if isinstance(source, Motion):
            found[i] = _of_motion(source, body, name, folder)
        elif isinstance(source, Keypoints):
            found[i] = keypoint_performer(source, name)
        elif isinstance(source, Performer):
            found[i] = replace(source, name=name or source.name)
    for i, source in enumerate(loaded):
        if isinstance(source, MeshSequence):
            found[i] = _of_meshes(source, wanted[i], called[i], list(found.values()), (source_fps, mesh_fps), folder)
    return [found[i] for i in range(len(loaded))]


def _of_motion(motion: Motion, which: BodyChoice, name: str, folder: str | Path | None) -> Performer:
    """The motion on the body that was named, or that it names; without either on its joint tree."""
    if not (which or motion.body):
        # What the reader of a BVH or ASF/AMC file says about units and axes explains many a difference.
        return replace(motion_performer(motion, None, name), notes=motion.source.notes)
    file = motion.source.file
    where = f"{file or name or 'the motion'}: {motion.body_name or motion.skeleton.name}"
    try:
        body, warnings = body_of(motion, which or None, folder)
    except MissingAsset as error:
        stands_in = not which and motion.body in LICENSED
        fix = f"{error.fix}: --body open-{motion.body}" if stands_in else error.fix
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
        said = f"of its {len(motion.betas)} betas {body.name} knows {body.num_betas}; the others are left out"
        warnings = [*warnings, said]
    expression = motion.expression
    if expression is not None and expression.shape[1] > body.num_expressions:
        expression = expression[:, : body.num_expressions]
    fitting = motion.replace(betas=motion.betas[: body.num_betas], expression=expression)
    # What a reader had to decide may explain a difference.
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
        raise UsageError("meshes do not say their frame rate", where=where or name, fix="give it: --source-fps 30, say")
    notes = (f"its files do not say their frame rate; {fps:g} fps was taken",)
    body, warnings = _body_of_meshes(meshes, which, name, others, folder)
    performer = mesh_performer(meshes.vertices, meshes.faces, fps, body, name)
    return replace(performer, notes=notes, warnings=warnings)


def _body_of_meshes(
    meshes: MeshSequence, which: BodyChoice, name: str, others: Sequence[Performer], folder: str | Path | None
) -> tuple[BodyModel | None, tuple[str, ...]]:
    """Whose surface the meshes are, and what to know about the choice; None where it is not known."""
    count = meshes.vertices.shape[1]
    if which:
        body, warnings = find_body(which, "neutral", folder)
        if body.num_vertices != count:
            raise UsageError(
                f"{name} are no meshes of {body.name}",
                where=f"{count} vertices, the body has {body.num_vertices}",
                fix="name the body that they were made with, or leave it out to have it recognised",
            )
        return body, tuple(warnings)
    # Meshes that are torn or otherwise wrong must be compared too, so only the counts are asked for.
    for other in others:
        if other.body is not None and (count, len(meshes.faces)) in (
            (other.body.num_vertices, len(other.body.faces)),
            (other.body.num_vertices, 0),
        ):
            return other.body, ()
    try:
        return recognise_body(meshes.vertices, meshes.faces, folder=folder, where=name), ()
    except VitruveError:
        return None, ()
