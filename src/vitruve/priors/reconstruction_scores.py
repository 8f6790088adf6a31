"""How well poses come back: from the mean of the code, and from a code that is drawn; a block of poses at a time.

What is drawn for a pose depends on the seed and on its number in the store alone, so that order and size of the blocks
change no more than the last digits.
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
from vitruve.priors.losses import distance
from vitruve.priors.sample_scores import features
from vitruve.priors.surface import BodySurface
from vitruve.priors.vposer import JOINTS
from vitruve.runs.progress import Progress
from vitruve.threads import over_threads

BODY_JOINTS = ("pelvis", *NAMES)
"""The joints of positions: root and body."""
COMPONENTS = ("mesh_m", "mesh_l1_m", "joints_m", "joints_l1_m", "geodesic_rad")
"""Of a reconstruction from the mean of the code; `sampled(name)` from a code that is drawn."""

# Poses in one block, and how many rows of the store share one draw of noise.
_BLOCK, _NOISE_ROWS = 128, 1024
_RESAMPLED, _LEAST_CLIPS = 1000, 5
_LEVELS = 101


def sampled(name: str) -> str:
    """The name of a component where the code is drawn: "mesh_l1_m" becomes "mesh_sampled_l1_m"."""
    first, _, rest = name.partition("_")
    return f"{first}_sampled_{rest}"


@dataclass
class ReconstructionMeter:
    """Sums of what a candidate's reconstructions score; of the mesh also each pose's value."""

    candidate: Candidate
    count: int = 0
    sums: dict[str, Tensor] = field(default_factory=dict)
    by_clip: dict[str, dict[int, list[float]]] = field(default_factory=dict)
    mesh: list[Tensor] = field(default_factory=list)
    spread: list[Moments | None] = field(default_factory=lambda: [None, None])
    code: Moments | None = None

    def add(self, found: dict[str, Tensor], clips: np.ndarray) -> None:
        """Take in a block: per pose values [poses], of joints [poses, joints], of the code [poses, latent]."""
        self.count += len(clips)
        self.mesh.append(found["mesh_m"])
        code = found.pop("code", None)
        if code is not None:
            self.code = _joined(self.code, moments(code))
        for i, name in enumerate(("target_points", "points")):
            self.spread[i] = _joined(self.spread[i], moments(found.pop(name)))
        numbers, first = np.unique(clips, return_inverse=True)
        for name, values in found.items():
            values = values.double()
            self.sums[name] = self.sums.get(name, torch.zeros(())) + values.sum(0)
            if values.dim() == 1:
                sums = np.bincount(first, values.numpy())
                for clip, total, count in zip(numbers, sums, np.bincount(first)):
                    entry = self.by_clip.setdefault(name, {}).setdefault(int(clip), [0.0, 0.0])
                    entry[0] += float(total)
                    entry[1] += float(count)

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
        """Millimetres and degrees of each joint; the root, which never moves, has no angle."""
        far, angle = (self.sums[name] / self.count for name in ("joint_distances", "joint_angles"))
        angles = [0.0, *torch.rad2deg(angle).tolist()]
        return {name: {"position_mm": 1000 * float(d), "angle_deg": a} for name, d, a in zip(BODY_JOINTS, far, angles)}

    def kl_by_dimension(self) -> list[float]:
        """Nats of each latent dimension."""
        return (self.sums["kl_by_dimension"] / self.count).tolist()

    def quantiles(self) -> list[float]:
        """Mesh error, millimetres, below which 0, 1, ... 100 % of the poses are."""
        ordered = 1000 * torch.cat(self.mesh).sort().values
        places = torch.linspace(0, len(ordered) - 1, _LEVELS).round().long()
        return ordered[places].tolist()


def _joined(before: Moments | None, now: Moments) -> Moments:
    return now if before is None else before.joined(now)


def measure_reconstruction(
    candidates: Sequence[Candidate],
    meters: dict[str, ReconstructionMeter],
    poses: JudgedPoses,
    surface: BodySurface,
    seed: int,
    progress: Progress,
) -> dict[str, Moments]:
    """Fill the meters with all poses; the moments of the real features."""
    real: dict[str, Moments] = {}
    places = np.arange(len(poses.rows))
    blocks = [places[start : start + _BLOCK] for start in range(0, len(places), _BLOCK)]
    at_once = max(1, torch.get_num_threads())

    def work(block: np.ndarray) -> tuple[dict[str, Moments], list[dict[str, Tensor]]]:
        rows = poses.rows[block]
        wanted = axis_angle_to_matrix(poses.body(rows))
        target = surface.pose(wanted)
        parts = {name: moments(values) for name, values in features(wanted, target[1]).items()}
        return parts, [_of_block(one, wanted, target, rows, surface, seed) for one in candidates]

    for start in range(0, len(blocks), at_once):
        now = blocks[start : start + at_once]
        for block, (parts, found) in zip(now, over_threads(work, now)):
            for name, part in parts.items():
                real[name] = _joined(real.get(name), part)
            for one, values in zip(candidates, found):
                meters[one.name].add(values, poses.clips[block])
        progress(int(now[-1][-1]) + 1, len(places))
    return real


def _of_block(
    one: Candidate, wanted: Tensor, target: tuple[Tensor, Tensor], rows: np.ndarray, surface: BodySurface, seed: int
) -> dict[str, Tensor]:
    """What a candidate scores on poses, each score [poses] or with an axis more."""
    assert one.reconstruct is not None
    if one.network is None:
        decoded, out = one.reconstruct(wanted), {}
    else:
        posterior = one.network.encode(wanted)
        decoded = one.network.decode(posterior.mean)
        drawn = posterior.mean + posterior.std * noise_of(rows, one.network.latent, seed)
        nats = posterior.kl()
        out = {"kl_nats": nats.sum(-1), "kl_by_dimension": nats, "code": posterior.mean}
        rotations = one.network.decode(drawn)
        found = _compared(rotations, wanted, surface.pose(rotations), target)
        out |= {sampled(name): value for name, value in found.items()}
    points = surface.pose(decoded)
    out |= _compared(decoded, wanted, points, target)
    body, body_target = points[1][:, : JOINTS + 1], target[1][:, : JOINTS + 1]
    off = distance(body, body_target)
    laid_over = placement(body, body_target, scale=True).apply(body)
    return out | {
        "mpjpe_mm": 1000 * off.mean(-1),
        "mpjpe_aligned_mm": 1000 * distance(laid_over, body_target).mean(-1),
        "joint_distances": off,
        "joint_angles": geodesic_distance(decoded, wanted),
        "points": body.flatten(1),
        "target_points": body_target.flatten(1),
    }


def _compared(
    rotations: Tensor, wanted: Tensor, points: tuple[Tensor, Tensor], target: tuple[Tensor, Tensor]
) -> dict[str, Tensor]:
    values = (
        distance(points[0], target[0]).mean(-1),
        (points[0] - target[0]).abs().mean((-2, -1)),
        distance(points[1], target[1]).mean(-1),
        (points[1] - target[1]).abs().mean((-2, -1)),
        geodesic_distance(rotations, wanted).mean(-1),
    )
    return dict(zip(COMPONENTS, values))


def noise_of(rows: np.ndarray, latent: int, seed: int) -> Float[Tensor, "rows latent"]:
    """Standard normal noise of rows of a store: each row's is its own, whatever rows are asked for beside it."""
    blocks, place = np.unique(rows // _NOISE_ROWS, return_inverse=True)
    drawn = [
        torch.randn(_NOISE_ROWS, latent, generator=torch.Generator().manual_seed(seed_of("code", seed, int(block))))
        for block in blocks
    ]
    return torch.stack(drawn)[torch.from_numpy(place), torch.from_numpy(rows % _NOISE_ROWS)]


def intervals(meter: ReconstructionMeter, clips: np.ndarray, seed: int) -> dict[str, list[float]]:
    """95 % of the means of clips drawn anew from the same clips; nothing where there are fewer than five."""
    numbers = np.unique(clips)
    if len(numbers) < _LEAST_CLIPS:
        return {}
    draws = np.random.default_rng(seed).multinomial(len(numbers), np.full(len(numbers), 1 / len(numbers)), _RESAMPLED)
    out = {}
    for name, by_clip in meter.by_clip.items():
        table = np.array([by_clip[int(number)] for number in numbers])
        sums, counts = (draws @ table).T
        out[name] = np.quantile(sums / counts, [0.025, 0.975]).tolist()
    out["mpve_mm"] = [1000 * value for value in out["mesh_m"]]
    return out


def shown_rows(meter: ReconstructionMeter, poses: JudgedPoses) -> dict[str, list[int]]:
    """Rows to look at, each from another clip where there are so many: around the median error, and the worst."""
    order = torch.cat(meter.mesh).argsort(stable=True).numpy()
    middle = order[np.argsort(np.abs(np.arange(len(order)) - len(order) // 2), kind="stable")]
    return {"typical": _of_other_clips(middle, poses), "worst": _of_other_clips(order[::-1], poses)}


def _of_other_clips(order: np.ndarray, poses: JudgedPoses, count: int = 6) -> list[int]:
    _, first = np.unique(poses.clips[order], return_index=True)
    kept = np.sort(first)[:count]
    return poses.rows[order[kept]].tolist()
