"""What a conversion must say of its input: what is odd about it, what its reader had to decide, what is left out."""

from __future__ import annotations

from dataclasses import replace

from vitruve.convert.poses import Poses
from vitruve.formats.left_out import left_out
from vitruve.formats.readers.mesh_sequence import MeshSequence
from vitruve.motion import Motion
from vitruve.motion.checks import inspect_motion, inspect_with_notes
from vitruve.motion.finding import Finding, by_severity, finding_of_note
from vitruve.motion.sizes import mesh_findings, shape_findings


def oddities(given: Motion | Poses | MeshSequence, result: Motion | Poses) -> list[Finding]:
    """Errors first; those that are not `trusted` spoil the result.

    Args:
        given: the input as it was read.
        result: what became of it; of a motion on a foreign skeleton it is looked through as well.
    """
    if isinstance(given, MeshSequence):
        return by_severity(mesh_findings(given.vertices))
    if isinstance(given, Poses):
        return by_severity([*map(finding_of_note, given.notes), *shape_findings(given.betas)])
    found = inspect_with_notes(given)
    lost = left_out(given.source.extras)
    if lost:
        found.append(Finding("note", f"left out, since the result is another body's: {lost}"))
    if isinstance(result, Motion) and not given.body and result.body:
        # A foreign skeleton has no joints that a person's could be measured by: the result has.
        spoilt = [finding for finding in inspect_motion(result) if not finding.trusted]
        found += [replace(finding, what=f"in the result, {finding.what}") for finding in spoilt]
    return by_severity(found)
