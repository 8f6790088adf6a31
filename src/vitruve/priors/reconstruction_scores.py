"""Errors of reconstructed poses, decoded from the mean of the code and from a random code, block by block.

The random code of a pose depends only on the seed and the row in the store, so the order and size of blocks change
only rounding.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.learn.order import seed_of
from vitruve.metrics.alignment import placement
from vitruve.metrics.generation import Moments, moments
from vitruve.priors.baselines import Candidate
from vitruve.priors.completion import NAMES
from vitruve.priors.judged_poses import JudgedPoses
from vitruve.priors.losses import distance, pose_errors, sampled
from vitruve.priors.sample_scores import features
from vitruve.priors.surface import BodySurface
from vitruve.priors.vposer import JOINTS
from vitruve.runs.progress import Progress
from vitruve.threads import over_threads

BODY_JOINTS = ("pelvis", *NAMES)
"""The joints of positions: root and body."""

# Poses in one block, and consecutive rows of the store that share a random generator.
_BLOCK, _NOISE_ROWS = 128, 1024
_RESAMPLED, _LEAST_CLIPS = 1000, 5
_LEVELS = 101


@dataclass
class ReconstructionMeter:
    """Accumulates the errors of a candidate; `clips` are the sorted numbers of all clips."""

    candidate: Candidate
    clips: np.ndarray
    count: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    by_clip: dict[str, np.ndarray] = field(default_factory=dict)
    mesh: list[Tensor] = field(default_factory=list)
    spread: list[Moments | None] = field(default_factory=lambda: [None, None])
    code: Moments | None = None

    def add(self, errors: dict[str, Tensor], clips: np.ndarray) -> None:
        """Add a block: values [poses], per joint [poses, joints], and the code [poses, latent]."""
        self.count += len(clips)
        self.mesh.append(errors["mesh_m"])
        code = errors.pop("code", None)
        if code is not None:
            self.code = _joined(self.code, moments(code))
        for i, name in enumerate(("target_points", "points")):
            self.spread[i] = _joined(self.spread[i], moments(errors.pop(name)))
        places = np.searchsorted(self.clips, clips)
        for name, values in errors.items():
            values = values.double()
            self.sums[name] = self.sums.get(name, torch.zeros(())) + values.sum(0)
            if values.dim() == 1:
                sums = np.bincount(places, values.numpy(), minlength=len(self.clips))
                self.by_clip[name] = self.by_clip.get(name, 0.0) + sums

    def scores(self) -> dict[str, float]:
        """Means over all poses."""
        out = {name: float(value) / self.count for name, value in self.sums.items() if value.dim() == 0}
        out["mpve_mm"] = 1000 * out["mesh_m"]
        if "kl_by_dimension" in self.sums:
            out["kl_nats_per_dimension"] = out["kl_nats"] / len(self.sums["kl_by_dimension"])
        if self.code is not None:
            out["active_units"] = float((self.code.scatter.diagonal() / self.count > 0.01).sum())
        variances = [float(part.scatter.trace()) for part in self.spread if part is not None]
        out["spread"] = (variances[1] / max(variances[0], 1e-12)) ** 0.5
        return out

    def per_joint(self) -> dict[str, dict[str, float]]:
        """Errors of each joint in millimetres and degrees; the angle of the root is zero."""
        far, angle = (self.sums[name] / self.count for name in ("joint_distances", "joint_angles"))
        angles = [0.0, *torch.rad2deg(angle).tolist()]
        return {name: {"position_mm": 1000 * float(d), "angle_deg": a} for name, d, a in zip(BODY_JOINTS, far, angles)}

    def kl_by_dimension(self) -> list[float]:
        """Nats of each latent dimension."""
        return (self.sums["kl_by_dimension"] / self.count).tolist()

    def quantiles(self) -> list[float]:
        """Percentiles 0 to 100 of the mesh error, millimetres."""
        ordered = 1000 * torch.cat(self.mesh).sort().values
        return ordered[torch.linspace(0, len(ordered) - 1, _LEVELS).round().long()].tolist()

    def intervals(self, clips: np.ndarray, seed: int) -> dict[str, list[float]]:
        """95 % bootstrap intervals of the means over clips; empty for fewer than five.

        Args:
            clips: the clip of every pose.
            seed: of the resampling.
        """
        number = len(self.clips)
        if number < _LEAST_CLIPS:
            return {}
        draws = np.random.default_rng(seed).multinomial(number, np.full(number, 1 / number), _RESAMPLED)
        counts = np.bincount(np.searchsorted(self.clips, clips))
        out = {}
        for name, by_clip in self.by_clip.items():
            sums, drawn = (draws @ np.stack([by_clip, counts], 1)).T
            out[name] = np.quantile(sums / drawn, [0.025, 0.975]).tolist()
        out["mpve_mm"] = [1000 * value for value in out["mesh_m"]]
        return out

    def shown_rows(self, poses: JudgedPoses) -> dict[str, list[int]]:
        """Rows of poses with a median and with the largest error, from different clips if there are enough."""
        order = torch.cat(self.mesh).argsort(stable=True).numpy()
        middle = order[np.argsort(np.abs(np.arange(len(order)) - len(order) // 2), kind="stable")]
        return {"typical": _of_different_clips(middle, poses), "worst": _of_different_clips(order[::-1], poses)}


def _joined(before: Moments | None, now: Moments) -> Moments:
    return now if before is None else before.joined(now)


def _of_different_clips(order: np.ndarray, poses: JudgedPoses, count: int = 6) -> list[int]:
    _, first = np.unique(poses.clips[order], return_index=True)
    return poses.rows[order[np.sort(first)[:count]]].tolist()


def measure_reconstruction(
    candidates: Sequence[Candidate], poses: JudgedPoses, surface: BodySurface, seed: int, progress: Progress
) -> tuple[dict[str, ReconstructionMeter], dict[str, Moments]]:
    """The errors of each candidate by name, and the moments of the `features` of all poses."""
    meters = {one.name: ReconstructionMeter(one, np.unique(poses.clips)) for one in candidates}
    real: dict[str, Moments] = {}
    places = np.arange(len(poses.rows))
    blocks = [places[start : start + _BLOCK] for start in range(0, len(places), _BLOCK)]
    at_once = max(1, torch.get_num_threads())

    def measure(block: np.ndarray) -> tuple[dict[str, Moments], list[dict[str, Tensor]]]:
        rows = poses.rows[block]
        target = axis_angle_to_matrix(poses.body(rows))
        posed = surface.pose(target)
        of_block = {name: moments(values) for name, values in features(target, posed[1]).items()}
        return of_block, [_errors(one, target, posed, rows, surface, seed) for one in candidates]

    for start in range(0, len(blocks), at_once):
        some = blocks[start : start + at_once]
        for block, (of_block, errors) in zip(some, over_threads(measure, some)):
            for name, part in of_block.items():
                real[name] = _joined(real.get(name), part)
            for one, values in zip(candidates, errors):
                meters[one.name].add(values, poses.clips[block])
        progress(int(some[-1][-1]) + 1, len(places))
    return meters, real


def _errors(
    one: Candidate,
    target: Tensor,
    posed_target: tuple[Tensor, Tensor],
    rows: np.ndarray,
    surface: BodySurface,
    seed: int,
) -> dict[str, Tensor]:
    """All errors of a candidate on some poses, the first axis of each is the poses."""
    if one.network is None:
        decoded, out = one.reconstruct(target), {}
    else:
        posterior = one.network.encode(target)
        decoded = one.network.decode(posterior.mean)
        drawn = posterior.mean + posterior.std * noise_of(rows, one.network.latent, seed)
        nats = posterior.kl()
        out = {"kl_nats": nats.sum(-1), "kl_by_dimension": nats, "code": posterior.mean}
        rotations = one.network.decode(drawn)
        errors = pose_errors(rotations, target, surface.pose(rotations), posed_target)
        out |= {sampled(name): value for name, value in errors.items()}
    posed = surface.pose(decoded)
    out |= pose_errors(decoded, target, posed, posed_target)
    body, body_target = posed[1][:, : JOINTS + 1], posed_target[1][:, : JOINTS + 1]
    off = distance(body, body_target)
    aligned = placement(body, body_target, scale=True).apply(body)
    return out | {
        "mpjpe_mm": 1000 * off.mean(-1),
        "mpjpe_aligned_mm": 1000 * distance(aligned, body_target).mean(-1),
        "joint_distances": off,
        "joint_angles": geodesic_distance(decoded, target),
        "points": body.flatten(1),
        "target_points": body_target.flatten(1),
    }


def noise_of(rows: np.ndarray, latent: int, seed: int) -> Float[Tensor, "rows latent"]:
    """Standard normal noise of rows of a store; the noise of a row does not depend on the other rows."""
    blocks, place = np.unique(rows // _NOISE_ROWS, return_inverse=True)
    drawn = [
        torch.randn(_NOISE_ROWS, latent, generator=torch.Generator().manual_seed(seed_of("code", seed, int(block))))
        for block in blocks
    ]
    return torch.stack(drawn)[torch.from_numpy(place), torch.from_numpy(rows % _NOISE_ROWS)]
