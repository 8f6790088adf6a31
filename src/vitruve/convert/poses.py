"""Single poses keyed by an id, as annotated data sets have them, converted as one batch and keyed by the same ids.

    conversion = convert_poses("poses.npz", to="smplx")
    write_poses(conversion.poses, "poses_smplx.npz")

Poses are no frames of a clip: they stand in no order, there is no frame rate, nothing is smoothed and no jitter is
measured.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import body_on, find_body
from vitruve.convert.convert import convert_motion
from vitruve.errors import BadData
from vitruve.fit.conversion import Conversion, Progress
from vitruve.fit.quality import ErrorReport, in_words
from vitruve.formats.readers.poses_by_id import Poses, read_poses, write_poses
from vitruve.motion.body_of import body_of

__all__ = ["PoseConversion", "Poses", "convert_poses", "read_poses", "write_poses"]


@dataclass(frozen=True, eq=False)
class PoseConversion:
    """The result of converting poses; the fields of `Conversion`, with poses in place of the motion.

    Attributes:
        poses: on the target body, in the order of the source's.
        error: `frames` are rows of the poses. Where poses are of several shapes, p95 is the largest of them.
        warnings: what a user must know.
        trusted: False where the result should not be used without a look.
        failed: [poses] True where the fit of a pose failed; it is masked too.
        seconds: time by stage.
    """

    poses: Poses
    error: ErrorReport
    warnings: tuple[str, ...]
    trusted: bool
    failed: Tensor
    seconds: Mapping[str, float]

    def __repr__(self) -> str:
        return f"PoseConversion({self.poses}, {self.error}{in_words(self.trusted, self.failed, self.warnings)})"

    @property
    def worst(self) -> list[str]:
        """Ids of the five measured poses with the largest mean error, worst first."""
        return [self.poses.ids[row] for row in self.error.worst]


def convert_poses(
    poses: Poses | str | Path,
    to: str | BodyModel,
    *,
    source: str | BodyModel | None = None,
    betas: str | Tensor = "zero",
    num_betas: int = 16,
    hands: str | Tensor = "flat",
    points: int = 600,
    folder: str | Path | None = None,
    device: torch.device | str | None = None,
    progress: Progress | None = None,
) -> PoseConversion:
    """Convert poses to another body.

    Args:
        poses: the poses, or their file.
        to: the body to go to, as for `convert_motion`.
        source: the body the poses were made on, where the file does not say it or is wrong.
        betas: "zero": the mean shape for all poses; "fit": one shape for each group of poses that share gender and
            betas, which are those of one person; "keep-if-same" and betas as for `convert_motion`.
        num_betas: how many betas are fitted, up to what the target has.
        hands: what a source without fingers gets.
        points: about how many surface points the fit looks at.
        folder: where licensed bodies lie, before the usual places.
        device: where to compute with bodies that are named, of which each gender has its own; the CPU where left out.
        progress: called with (poses done, poses in all).
    """
    if not isinstance(poses, Poses):
        poses = read_poses(poses)
    if not poses.mask.any():
        raise BadData("no pose has finite values", where=f"{len(poses)} poses", fix="check the file")
    groups, done, parts, warnings = _people(poses), 0, [], []
    bodies: dict[str, tuple[BodyModel, BodyModel]] = {}
    for rows in groups:
        gender = poses.genders[int(rows[0])]
        if gender not in bodies:
            here, there = body_of(poses.as_motion(rows), source, folder), find_body(to, gender, folder)
            target = there[0] if device is None else body_on(there[0], device)
            bodies[gender], warnings = (here[0], target), [*warnings, *here[1], *there[1]]
        report = None if progress is None else _after(progress, done, len(poses))
        parts.append(
            convert_motion(
                poses.as_motion(rows),
                bodies[gender][1],
                source=bodies[gender][0],
                betas=betas,
                num_betas=num_betas,
                hands=hands,
                points=points,
                sequence=False,
                progress=report,
            )
        )
        done += len(rows)
    return _joined(poses, groups, parts, warnings)


def _people(poses: Poses) -> list[Tensor]:
    """Rows that share gender and betas, in the order of their first pose."""
    genders = sorted(set(poses.genders))
    code = torch.tensor([genders.index(gender) for gender in poses.genders]).to(poses.betas)
    _, person = torch.cat([code[:, None], poses.betas], 1).unique(dim=0, return_inverse=True)
    # A masked pose shows nothing of its person: it goes along with the first that is there.
    person[~poses.mask] = person[poses.mask.nonzero()[0, 0]]
    groups = [(person == number).nonzero()[:, 0] for number in person.unique().tolist()]
    return sorted(groups, key=lambda rows: int(rows[0]))


def _after(progress: Progress, done: int, count: int) -> Progress:
    return lambda here, _: progress(done + here, count)


def _joined(
    poses: Poses, groups: Sequence[Tensor], parts: Sequence[Conversion], warnings: Sequence[str]
) -> PoseConversion:
    """The poses of all groups in their places."""
    said = [*(warning for part in parts for warning in part.warnings), *warnings]
    first, rows = parts[0].motion, torch.cat(list(groups))
    place = rows.argsort()
    motions = [part.motion for part in parts]
    failed = torch.cat([part.failed for part in parts])[place]
    genders = [motion.gender for motion in motions for _ in range(len(motion))]
    expressions = [motion.expression for motion in motions if motion.expression is not None]
    result = replace(
        poses,
        rotations=torch.cat([motion.rotations for motion in motions])[place],
        translation=torch.cat([motion.translation for motion in motions])[place],
        betas=torch.cat([motion.betas.expand(len(motion), -1) for motion in motions])[place],
        genders=tuple(genders[int(row)] for row in place),
        body=first.body,
        expression=torch.cat(expressions)[place] if len(expressions) == len(motions) else None,
        mask=poses.mask.to(failed.device) & ~failed,
    )
    stages = {stage: sum(part.seconds.get(stage, 0.0) for part in parts) for stage in parts[0].seconds}
    return PoseConversion(
        poses=result,
        error=_pooled([part.error for part in parts], groups),
        warnings=tuple(dict.fromkeys(said)),
        trusted=all(part.trusted for part in parts),
        failed=failed,
        seconds=stages,
    )


def _pooled(errors: Sequence[ErrorReport], groups: Sequence[Tensor]) -> ErrorReport:
    """One report over all groups; a measured row counts alike wherever it is."""
    counts = torch.tensor([float(len(error.frames)) for error in errors])
    share = (counts / counts.sum()).tolist()
    return replace(
        errors[0],
        frames=torch.cat([rows[error.frames] for rows, error in zip(groups, errors)]),
        per_frame=torch.cat([error.per_frame for error in errors]),
        per_frame_max=torch.cat([error.per_frame_max for error in errors]),
        groups={name: sum(s * error.groups[name] for s, error in zip(share, errors)) for name in errors[0].groups},
        mean=sum(s * error.mean for s, error in zip(share, errors)),
        p95=max(error.p95 for error in errors),
        max=max(error.max for error in errors),
        jitter=0.0,  # neighbours in the file are no neighbours in time
    )
