"""The parts of a skinned mesh in an exchange format: limited weights, normals, quaternions, a mesh of bones."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from jaxtyping import Float
from numpy.typing import NDArray
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.geometry.rotations import matrix_to_quaternion_xyzw
from vitruve.motion import Motion

Floats = NDArray[np.float32]

# Joints per vertex in glTF without a second set of weights.
INFLUENCES = 4
# Width of a drawn bone relative to its length, and where along it the bone is widest.
_WIDTH, _WIDEST = 0.07, 0.15
# A bone whose joint moves by more than this fraction of its length is not drawn.
_WANDERING = 0.25


@dataclass(frozen=True)
class SkinnedMesh:
    """A mesh at rest and what moves it.

    Attributes:
        name: of the mesh.
        vertices: [vertices, 3] at rest, in the shape of the clip.
        faces: [faces, 3].
        joints: [vertices, influences] the joints that move each vertex.
        weights: [vertices, influences] their weights; each row sums to one.
        morphs: name of each morph target to its displacements [vertices, 3].
        morph_weights: [frames, morphs], or None if they are all zero.
    """

    name: str
    vertices: Floats
    faces: NDArray[np.unsignedinteger]
    joints: NDArray[np.unsignedinteger]
    weights: Floats
    morphs: dict[str, Floats] = field(default_factory=dict)
    morph_weights: Floats | None = None


def body_mesh(
    motion: Motion, body: BodyModel, shapes: int = 0, expressions: int = 0, influences: int = INFLUENCES
) -> SkinnedMesh:
    """The surface of a body in the clip's shape, with the first shapes and expressions as morph targets."""
    rest = body.shaped(motion.betas).rest_vertices
    joints, weights = largest_weights(body.skin_weights, influences)
    columns = [body.shape_basis[..., i] for i in range(shapes)]
    columns += [body.expression_basis[..., i] for i in range(expressions)]
    morphs = dict(zip(morph_names(shapes, expressions), map(_floats, columns), strict=True))
    values = None
    if expressions and motion.expression is not None:
        values = np.zeros((len(motion), len(morphs)), np.float32)
        used = min(expressions, motion.expression.shape[1])
        values[:, shapes : shapes + used] = _floats(motion.expression[:, :used])
    faces = _smallest(body.faces.cpu().numpy(), len(rest))
    return SkinnedMesh(body.name, _floats(rest), faces, joints, weights, morphs, values)


def morph_names(shapes: int, expressions: int) -> tuple[str, ...]:
    """Names of the morph targets of a body: shape_000 ..., then expression_000 ...."""
    counts = {"shape": shapes, "expression": expressions}
    return tuple(f"{kind}_{i:03d}" for kind, count in counts.items() for i in range(count))


def largest_weights(
    weights: Float[Tensor, "vertices joints"], influences: int = INFLUENCES
) -> tuple[NDArray[np.unsignedinteger], Floats]:
    """Joints [vertices, influences] of the largest weights of each vertex, and those weights, summing to one."""
    count = min(influences, weights.shape[1])
    largest, joints = weights.detach().double().topk(count)
    shares = largest.clamp_min(0)
    shares = (shares / shares.sum(1, keepdim=True).clamp_min(1e-12)).cpu().numpy()
    rounded = np.pad(shares, ((0, 0), (0, influences - count))).astype(np.float32)
    chosen = np.pad(joints.cpu().numpy(), ((0, 0), (0, influences - count)))
    # The largest weight absorbs rounding, so that the sum is one in float32 too.
    rounded[:, 0] = 1 - rounded[:, 1:].sum(1, dtype=np.float64)
    return np.where(rounded > 0, chosen, 0).astype(np.uint8 if weights.shape[1] <= 256 else np.uint16), rounded


def smooth_normals(vertices: Floats, faces: NDArray[np.integer]) -> Floats:
    """[vertices, 3] unit normals, the area-weighted mean over adjacent faces; straight up if there are none."""
    corners = vertices[faces.astype(np.int64)].astype(np.float64)
    across = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    ends = faces.astype(np.int64).ravel()
    spread = np.repeat(across, 3, axis=0)
    normals = np.stack([np.bincount(ends, spread[:, i], len(vertices)) for i in range(3)], -1)
    length = np.linalg.norm(normals, axis=-1, keepdims=True)
    flat = length < 1e-20
    return np.where(flat, (0.0, 1.0, 0.0), normals / np.where(flat, 1, length)).astype(np.float32)


def continuous_quaternions(rotations: Float[Tensor, "frames joints 3 3"]) -> Floats:
    """[joints, frames, 4] unit quaternions, scalar last, with continuous sign over time."""
    quaternions = matrix_to_quaternion_xyzw(rotations.double()).detach().cpu().numpy()
    turned = np.where((quaternions[1:] * quaternions[:-1]).sum(-1, keepdims=True) < 0, -1.0, 1.0)
    quaternions[1:] *= np.cumprod(turned, axis=0)
    return np.ascontiguousarray(quaternions.transpose(1, 0, 2).astype(np.float32))


def bone_mesh(motion: Motion, rest: NDArray[np.floating]) -> SkinnedMesh | None:
    """A mesh of a joint tree: a long octahedron for every bone, moved by its upper joint.

    Bones that change much, such as from a fixed origin to moving hips, are left out. None if no bone is left.
    """
    parents = motion.skeleton.parents
    along = rest - rest[np.maximum(parents, 0)]
    lengths = np.linalg.norm(along, axis=-1)
    drawn = lengths > 1e-6
    if motion.offsets is not None:
        moved = np.abs(motion.offsets.detach().double().cpu().numpy() - along).max((0, 2))
        drawn &= moved < _WANDERING * lengths
    bones = [(parent, joint) for joint, parent in enumerate(parents) if parent >= 0 and drawn[joint]]
    if not bones:
        return None
    triangles = [(0, 1 + (i + 1) % 4, 1 + i) for i in range(4)] + [(5, 1 + i, 1 + (i + 1) % 4) for i in range(4)]
    vertices, faces = [], []
    for number, (parent, joint) in enumerate(bones):
        bone = along[joint]
        side = np.cross(bone, np.eye(3)[np.abs(bone).argmin()])
        side *= _WIDTH * lengths[joint] / np.linalg.norm(side)
        other = np.cross(bone, side) / lengths[joint]
        ring = [rest[parent] + _WIDEST * bone + around for around in (side, other, -side, -other)]
        vertices += [rest[parent], *ring, rest[joint]]
        faces.append(np.array(triangles) + 6 * number)
    joints = np.zeros((len(vertices), INFLUENCES), np.uint8 if len(parents) <= 256 else np.uint16)
    joints[:, 0] = np.repeat([parent for parent, _ in bones], 6)
    weights = np.zeros((len(vertices), INFLUENCES), np.float32)
    weights[:, 0] = 1
    surface = _smallest(np.concatenate(faces), len(vertices))
    return SkinnedMesh(f"{motion.skeleton.name} bones", np.array(vertices, np.float32), surface, joints, weights)


def _smallest(faces: NDArray[np.integer], vertices: int) -> NDArray[np.unsignedinteger]:
    # The largest 16-bit index is reserved (primitive restart).
    return faces.astype(np.uint16 if vertices < 65535 else np.uint32)


def _floats(values: Tensor) -> Floats:
    return np.ascontiguousarray(values.detach().float().cpu().numpy())
