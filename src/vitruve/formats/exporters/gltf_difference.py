"""Measure how far a skinned mesh in a glTF or USD file is from its body.

Such a skin loses pose correctives, an expression that was not exported, joints that follow the expression, and in glTF
the weights beyond four joints per vertex.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import torch
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.formats.exporters.gltf_skin import INFLUENCES, largest_weights
from vitruve.motion import Motion

# Frames measured of a long clip, and frames per block.
_MEASURED, _AT_A_TIME = 64, 16


@dataclass(frozen=True)
class Difference:
    """Distances between the body and its skinned mesh.

    Attributes:
        frames: number of frames measured.
        mean_mm: mean over all vertices.
        max_mm: the worst vertex.
        weights_mm: the worst vertex, from the weights beyond four joints alone.
        joints_mm: the worst joint.
    """

    frames: int
    mean_mm: float
    max_mm: float
    weights_mm: float
    joints_mm: float


def skinning_difference(
    motion: Motion,
    body: BodyModel,
    *,
    expressions: int = 0,
    influences: int | None = INFLUENCES,
    frames: int = _MEASURED,
) -> Difference:
    """Measure what a skin without correctives loses on a clip.

    Args:
        motion: the clip; every frame must be valid.
        body: the body it is skinned on.
        expressions: how many animated expressions the skin has as morph targets.
        influences: joints per vertex in the skin, 4; None for all of the body's.
        frames: how many frames to measure, evenly spread over the clip.
    """
    chosen = torch.linspace(0, len(motion) - 1, min(frames, len(motion))).round().long().unique()
    weights = _four_only(body) if influences else body.skin_weights
    cut = bool((weights - body.skin_weights).abs().max() > 1e-6)
    means, worst = [], torch.zeros(3, dtype=torch.float64)
    with torch.no_grad():
        for block in chosen.split(_AT_A_TIME):
            distance, from_weights, joints = _distances(_at(motion, block), body, weights, expressions, cut)
            means.append(distance.double().mean(1))
            worst = worst.maximum(torch.stack([of.max().double().cpu() for of in (distance, from_weights, joints)]))
    largest, from_weights, joints = (1e3 * worst).tolist()
    return Difference(len(chosen), 1e3 * float(torch.cat(means).mean()), largest, from_weights, joints)


def _distances(
    part: Motion, body: BodyModel, weights: Tensor, expressions: int, cut: bool
) -> tuple[Tensor, Tensor, Tensor]:
    """(vertices [frames, vertices], from the weights alone, joints [frames, joints]), metres."""
    shaped = body.shaped(part.betas)
    rest = shaped.rest_vertices.expand(len(part), -1, -1)
    if expressions and part.expression is not None:
        used = part.expression[:, :expressions].to(rest)
        rest = rest + torch.einsum("fe,vce->fvc", used, body.expression_basis[..., : used.shape[1]])
    world, joints = forward_kinematics(part.rotations.to(rest), shaped.rest_joints, body.skeleton.parents)
    joints = joints + part.translation.to(rest)[:, None]
    transforms = torch.cat([world, (joints - (world @ shaped.rest_joints[..., None])[..., 0])[..., None]], -1)
    skinned = _skinned(weights, transforms, rest)
    from_weights = _skinned(body.skin_weights, transforms, rest) - skinned if cut else torch.zeros_like(skinned)
    true, true_joints = part.vertices(body), part.joints(body)
    return (skinned - true).norm(dim=-1), from_weights.norm(dim=-1), (joints - true_joints).norm(dim=-1)


def _skinned(weights: Tensor, transforms: Tensor, rest: Tensor) -> Tensor:
    """[frames, vertices, 3] of rest vertices [frames, vertices, 3], moved by joints [frames, joints, 3, 4]."""
    blended = (weights @ transforms.flatten(2)).unflatten(-1, (3, 4))
    return (blended[..., :3] @ rest[..., None])[..., 0] + blended[..., 3]


def _four_only(body: BodyModel) -> Tensor:
    """[vertices, joints]: the weights reduced to four joints per vertex."""
    joints, weights = (torch.from_numpy(values) for values in largest_weights(body.skin_weights))
    empty = torch.zeros_like(body.skin_weights)
    return empty.scatter_add_(1, joints.to(empty.device).long(), weights.to(empty))


def _at(motion: Motion, frames: Tensor) -> Motion:
    keys = ("rotations", "translation", "expression")
    values = {key: value[frames] for key in keys if (value := getattr(motion, key)) is not None}
    return replace(motion, **values, offsets=None, mask=None, source=replace(motion.source, extras={}))
