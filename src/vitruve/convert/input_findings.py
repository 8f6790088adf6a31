"""Findings about the input of a conversion: problems, assumptions of its reader, fields that are left out."""

from __future__ import annotations

from dataclasses import replace

from vitruve.convert.poses import Poses
from vitruve.formats.left_out import left_out
from vitruve.formats.readers.mesh_sequence import MeshSequence
from vitruve.motion import Motion
from vitruve.motion.checks import inspect_motion, inspect_with_notes
from vitruve.motion.finding import Finding, by_severity, finding_of_note
from vitruve.motion.sizes import mesh_findings, shape_findings


def oddities(source: Motion | Poses | MeshSequence, result: Motion | Poses) -> list[Finding]:
    """Findings about the input, errors first; one that is not `trusted` makes the result untrusted."""
    if isinstance(source, MeshSequence):
        return by_severity(mesh_findings(source.vertices))
    if isinstance(source, Poses):
        return by_severity([*map(finding_of_note, source.notes), *shape_findings(source.betas)])
    found = inspect_with_notes(source)
    lost = left_out(source.source.extras)
    if lost:
        found.append(Finding("note", f"left out, since the result is on another body: {lost}"))
    if isinstance(result, Motion) and not source.body and result.body:
        # A foreign skeleton has no joints with known anatomy, but the result has.
        errors = [finding for finding in inspect_motion(result) if not finding.trusted]
        found += [replace(finding, what=f"in the result, {finding.what}") for finding in errors]
    return by_severity(found)
