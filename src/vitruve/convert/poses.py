"""Convert single poses keyed by an id, as annotated data sets have them.

conversion = convert_poses("poses.npz", to="smplx")
write_poses(conversion.poses, "poses_smplx.npz")
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.find_body import body_on, find_body
from vitruve.convert.convert import convert_motion
from vitruve.errors import BadData
from vitruve.fit.conversion import Conversion, Measured, Progress
from vitruve.fit.quality import ErrorReport
from vitruve.formats.readers.poses_by_id import Poses, read_poses, write_poses
from vitruve.motion.body_of import body_of

__all__ = ["PoseConversion", "Poses", "convert_poses", "read_poses", "write_poses"]


@dataclass(frozen=True, eq=False, repr=False)
class PoseConversion(Measured):
    """Converted poses: `poses` are on the target body, in the order of the source's; see `Measured` for other fields.

    `error.frames` are rows of the poses. If the poses have several shapes, `error.p95` is the largest of them.
    """

    poses: Poses

    def __repr__(self) -> str:
        return self.describe(self.poses)

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
        betas: "zero": the mean shape for all poses; "fit": one shape for each group of poses with the same gender and
            betas, hence of one person; "keep-if-same" and betas as for `convert_motion`.
        to, source, num_betas, hands, points, folder: as for `convert_motion`.
        device: where to compute if the bodies are named; the CPU by default.
        progress: called with (poses done, poses).
    """
    if not isinstance(poses, Poses):
        poses = read_poses(poses)
    if not poses.mask.any():
        raise BadData("no pose has finite values", where=f"{len(poses)} poses", fix="check the file")
    groups, done, parts, warnings = _people(poses), 0, [], []
    bodies: dict[str, tuple[BodyModel, BodyModel]] = {}
    for rows in groups:
        motion = poses.as_motion(rows)
        if motion.gender not in bodies:
            source_body, source_notes = body_of(motion, source, folder)
            target_body, target_notes = find_body(to, motion.gender, folder)
            bodies[motion.gender] = source_body, target_body if device is None else body_on(target_body, device)
            warnings += source_notes + target_notes
        source_body, target_body = bodies[motion.gender]
        parts.append(
            convert_motion(
                motion,
                target_body,
                source=source_body,
                betas=betas,
                num_betas=num_betas,
                hands=hands,
                points=points,
                sequence=False,
                progress=None if progress is None else _after(progress, done, len(poses)),
            )
        )
        done += len(rows)
    return _joined(poses, groups, parts, warnings)


def _people(poses: Poses) -> list[Tensor]:
    """Rows that share gender and betas, in the order of their first pose."""
    genders = sorted(set(poses.genders))
    code = torch.tensor([genders.index(gender) for gender in poses.genders]).to(poses.betas)
    _, person = torch.cat([code[:, None], poses.betas], 1).unique(dim=0, return_inverse=True)
    # The person of a masked pose is unknown: it joins the first valid one.
    person[~poses.mask] = person[poses.mask.nonzero()[0, 0]]
    groups = [(person == number).nonzero()[:, 0] for number in person.unique().tolist()]
    return sorted(groups, key=lambda rows: int(rows[0]))


def _after(progress: Progress, done: int, count: int) -> Progress:
    return lambda here, _: progress(done + here, count)


def _joined(
    poses: Poses, groups: Sequence[Tensor], parts: Sequence[Conversion], warnings: Sequence[str]
) -> PoseConversion:
    """One conversion of the poses of all groups, in their original order."""
    motions, place = [part.motion for part in parts], torch.cat(list(groups)).argsort()
    failed = torch.cat([part.failed for part in parts])[place]
    genders = [motion.gender for motion in motions for _ in range(len(motion))]
    expressions = [motion.expression for motion in motions if motion.expression is not None]
    result = replace(
        poses,
        rotations=torch.cat([motion.rotations for motion in motions])[place],
        translation=torch.cat([motion.translation for motion in motions])[place],
        betas=torch.cat([motion.betas.expand(len(motion), -1) for motion in motions])[place],
        genders=tuple(genders[int(row)] for row in place),
        body=motions[0].body,
        expression=torch.cat(expressions)[place] if len(expressions) == len(motions) else None,
        mask=poses.mask.to(failed.device) & ~failed,
    )
    return PoseConversion(
        poses=result,
        error=_pooled([part.error for part in parts], groups),
        warnings=tuple(dict.fromkeys([*(warning for part in parts for warning in part.warnings), *warnings])),
        trusted=all(part.trusted for part in parts),
        failed=failed,
        seconds={stage: sum(part.seconds[stage] for part in parts) for stage in parts[0].seconds},
    )


def _pooled(errors: Sequence[ErrorReport], groups: Sequence[Tensor]) -> ErrorReport:
    """One report over all groups, each weighted by its number of measured poses."""
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
        jitter=0.0,  # poses have no order in time
    )
