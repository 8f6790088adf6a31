"""Describe a file: its kind, facts and findings, for motions, body models, skeletons and folders of meshes."""

from __future__ import annotations

import os
import warnings
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from torch import Tensor

from vitruve.errors import VitruveError
from vitruve.formats import load_motion, recognise
from vitruve.formats.fields import MissingFrameRate
from vitruve.formats.glimpse import Glimpse, glimpse, is_body, is_mesh_folder, is_skeleton, is_transfer_folder
from vitruve.motion import Motion
from vitruve.motion.checks import inspect_with_notes
from vitruve.motion.finding import Finding, by_severity
from vitruve.motion.sizes import mesh_findings

# The assumed frame rate of a file without one, to check speeds.
_ASSUMED_RATE = 30.0


@dataclass(frozen=True)
class Description:
    """The description of a file.

    Attributes:
        path: the file or folder.
        kind: "motion", "body", "skeleton" or "meshes".
        facts: by name; numbers, text and lists of them. The translation is in metres.
        findings: errors first.
    """

    path: Path
    kind: str
    facts: Mapping[str, Any]
    findings: list[Finding] = field(default_factory=list)

    def as_json(self) -> dict[str, Any]:
        """The same as plain values."""
        findings = [asdict(finding) for finding in self.findings]
        return {"path": str(self.path), "kind": self.kind, **self.facts, "findings": findings}


def describe(path: str | os.PathLike[str], *, fps: float | None = None, gender: str | None = None) -> Description:
    """Describe a file or folder: its kind (from its content), facts and findings.

    Args:
        path: a motion, a body model, a skeleton, or a folder of motion or mesh files.
        fps: frames per second, for files without a frame rate.
        gender: for files without a gender.
    """
    look = glimpse(path)
    # The transfer tool writes a mesh next to each pkl: describe the motion.
    if is_mesh_folder(look) and not is_transfer_folder(look):
        return _meshes(look)
    if is_skeleton(look):
        return _skeleton(look)
    if is_body(look) or (look.kind == "pickle" and _is_body_pickle(look.path)):
        return _body(look)
    return _motion(look, fps, gender)


def _motion(look: Glimpse, fps: float | None, gender: str | None) -> Description:
    try:
        motion = load_motion(look.path, fps=fps, gender=gender)
        findings = inspect_with_notes(motion)
        has_rate = True
    except MissingFrameRate:
        motion = load_motion(look.path, fps=_ASSUMED_RATE, gender=gender)
        # Findings about an assumed frame rate mean nothing.
        findings = [finding for finding in inspect_with_notes(motion) if "frame rate" not in finding.what]
        findings.append(Finding("warning", "the file has no frame rate", "", "set it: --source-fps 30, or fps=30"))
        has_rate = False
    return Description(look.path, "motion", _motion_facts(motion, look, has_rate), by_severity(findings))


def _motion_facts(motion: Motion, look: Glimpse, has_rate: bool) -> dict[str, Any]:
    some_valid = motion.mask is not None and bool(motion.mask.any())
    translation = motion.translation[motion.mask] if some_valid else motion.translation
    arrays = look.shapes or {
        key: tuple(value.shape)
        for key in ("rotations", "translation", "betas", "expression", "offsets")
        if (value := getattr(motion, key)) is not None and value.numel()
    }
    return {
        "format": recognise(look),
        "body": motion.body or None,
        "gender": motion.gender if motion.body else None,
        "skeleton": motion.skeleton.name,
        "joints": len(motion.skeleton),
        "frames": len(motion),
        "masked": 0 if motion.mask is None else int((~motion.mask).sum()),
        "fps": motion.fps if has_rate else None,
        "seconds": round(motion.duration, 4) if has_rate else None,
        "betas": _rounded(motion.betas),
        "translation_min": _rounded(translation.amin(0)),
        "translation_max": _rounded(translation.amax(0)),
        "precision": str(motion.dtype).removeprefix("torch."),
        "arrays": {key: list(shape) for key, shape in arrays.items()},
    }


def _body(look: Glimpse) -> Description:
    from vitruve.bodies.check import check_body
    from vitruve.bodies.files import read_body

    checked = [result for result in check_body(look.path) if result.severity != "ok"]
    findings = by_severity(Finding(result.severity, f"{result.key}: {result.text}") for result in checked)
    try:
        with warnings.catch_warnings(record=True) as notices:
            warnings.simplefilter("always")
            body = read_body(look.path)
    except VitruveError:  # the check reports it
        return Description(look.path, "body", {"format": "body model"}, findings)
    findings += [Finding("note", str(notice.message)) for notice in notices]
    facts = {
        "format": "body model",
        "body": body.layout,
        "gender": body.gender,
        "vertices": body.num_vertices,
        "faces": len(body.faces),
        "joints": body.num_joints,
        "betas": body.num_betas,
        "expressions": body.num_expressions,
        "hand_components": {side: len(hand.components) for side, hand in body.hands.items()} or None,
        "pose_correctives": body.pose_basis is not None,
        "licence": body.licence or None,
        "arrays": {key: list(shape) for key, shape in look.shapes.items()},
    }
    return Description(look.path, "body", facts, findings)


def _skeleton(look: Glimpse) -> Description:
    from vitruve.skeletons import load_skeleton

    skeleton = load_skeleton(look.path)
    facts = {
        "name": skeleton.name,
        "joints": len(skeleton),
        "tree": bool(skeleton.parents),
        "pairs": len(skeleton.pairs),
        "rest_positions": skeleton.rest is not None,
        "names": list(skeleton.names),
    }
    return Description(look.path, "skeleton", facts)


def _meshes(look: Glimpse) -> Description:
    from vitruve.formats.readers.mesh_sequence import read_mesh_sequence

    meshes = read_mesh_sequence(look.path)
    points = meshes.vertices.flatten(0, 1)
    facts = {
        "format": "mesh-sequence",
        "frames": len(meshes.vertices),
        "vertices": meshes.vertices.shape[1],
        "faces": len(meshes.faces),
        "vertices_min": _rounded(points.amin(0)),
        "vertices_max": _rounded(points.amax(0)),
        "first_file": meshes.files[0].name,
        "last_file": meshes.files[-1].name,
    }
    return Description(look.path, "meshes", facts, by_severity(mesh_findings(meshes.vertices)))


def _rounded(values: Tensor) -> list[float]:
    return [round(value, 4) for value in values.tolist()]


def _is_body_pickle(path: Path) -> bool:
    from vitruve.bodies.pickles import read_pickle

    content = read_pickle(path)
    return isinstance(content, Mapping) and "v_template" in content
