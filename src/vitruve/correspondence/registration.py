"""Register two bodies: by their joints, then by pose and shape, then by a smooth displacement.

Both change their shape within their own shape spaces until they match; the first is also posed, and finally displaced.
With displacement alone a surface would slide along itself.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch

from vitruve.bodies import BodyModel
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.correspondence.closest_points import (
    Closest,
    ClosestPointMesh,
    Floats,
    Ints,
    edges_of,
    vertex_areas,
    vertex_normals,
)
from vitruve.correspondence.shared_parts import SharedParts
from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle

MOST_BETAS = 32  # of each body
# Standard deviations that weight the terms: of the surface across and along itself (metres), of the betas, of the
# scale.
_ACROSS, _ALONG, _BETA, _SCALE = 0.003, 0.015, 2.0, 0.05
_COUNTED_POINTS = 2000  # effective number of independent points, since neighbouring vertices have correlated errors
_POINTS, _POINTS_PER_PART = 4000, 120  # in all, and minimum per part
# Rounds, and deviations of the joints (metres) and of the turns of joints (radians): first by the joints alone.
_JOINT_ROUNDS, _BY_JOINTS = 6, (0.004, 0.5)
_SURFACE_ROUNDS, _BY_SURFACE = 14, (0.02, 0.6)
_STIFFNESS = (100.0, 30.0, 10.0, 3.0, 1.0, 0.3)
# Matches beyond this distance (metres) or angle between normals (cosine) are ignored.
_FARTHEST, _LEAST_COSINE = 0.04, 0.4
_NORMAL_LENGTH = 0.04  # metres that a unit of difference between normals counts in the search for matches


def register(first: BodyModel, second: BodyModel, parts: SharedParts) -> tuple[Floats, Floats]:
    """Register two bodies as closely as possible.

    Args:
        first: the body that is posed and displaced; the one with more joints, so that fingers can move.
        second: the body that only changes its shape.
        parts: their shared parts.

    Returns:
        Their vertices [V, 3], metres.
    """
    moving, fixed = _Moving(first, parts), _Shape(second)
    joints = parts.second_joints
    state = moving.initial_state(fixed.joints[joints], fixed.betas)
    for _ in range(_JOINT_ROUNDS):
        state = _step(moving, fixed, joints, state, None, *_BY_JOINTS)
    moving.relaxed = state.rotations
    for _ in range(_SURFACE_ROUNDS):
        surface = ClosestPointMesh(fixed.vertices(state.second_betas), fixed.faces, parts.second)
        state = _step(moving, fixed, joints, state, surface, *_BY_SURFACE)
    surface = ClosestPointMesh(fixed.vertices(state.second_betas), fixed.faces, parts.second)
    return _displace(moving.vertices_at(state), moving.faces, surface, parts), surface.vertices


@dataclass(frozen=True)
class _State:
    """Local rotations [J, 3, 3], translation [3], betas [S] and scale of the first body, betas of the second."""

    rotations: Floats
    translation: Floats
    betas: Floats
    scale: float
    second_betas: Floats


class _Shape:
    """The shape space of a body as arrays."""

    def __init__(self, body: BodyModel) -> None:
        self.betas = min(MOST_BETAS, body.num_betas)
        regressor = _array(body.joint_regressor)
        self.template, self.shape = _array(body.template), _array(body.shape_basis[..., : self.betas])
        self.joints = _product(regressor, self.template)
        self.joint_shape = np.einsum("jv,vcs->jcs", regressor, self.shape)
        self.faces = body.faces.cpu().numpy()

    def vertices(self, betas: Floats) -> Floats:
        """The shaped template: [V, 3]."""
        return self.template + self.shape @ betas


class _Moving(_Shape):
    """A body that is also posed. Its joints are points too, bound to their parents."""

    def __init__(self, body: BodyModel, parts: SharedParts) -> None:
        super().__init__(body)
        self.parts, self.parents = parts, body.skeleton.parents
        self.weights = _array(body.skin_weights)
        self.free = np.isin(np.arange(len(self.parents)), [0, *body.skeleton.below(parts.first_joints[0])])
        self.relaxed: Floats = np.tile(np.eye(3), (len(self.parents), 1, 1))
        self.below = np.zeros((len(self.parents), len(self.parents)))
        for joint in range(len(self.parents)):
            self.below[joint, list(body.skeleton.below(joint))] = 1
        self.chosen, self.share = _balanced(parts.first, vertex_areas(self.template, self.faces))
        own = parts.first_joints
        bound = np.eye(len(self.parents))[[max(self.parents[joint], 0) for joint in own]]
        self.point_weights = np.concatenate([self.weights[self.chosen], bound])
        self.points = np.concatenate([self.template[self.chosen], self.joints[own]])
        self.point_shape = np.concatenate([self.shape[self.chosen], self.joint_shape[own]])

    def initial_state(self, joints: Floats, second_betas: int) -> _State:
        """The rest pose, aligned rigidly so that the shared joints are close to `joints`."""
        own = self.joints[self.parts.first_joints]
        u, _, vt = np.linalg.svd((joints - joints.mean(0)).T @ (own - own.mean(0)))
        turn = u @ np.diag([1, 1, np.linalg.det(u @ vt)]) @ vt
        rotations = np.tile(np.eye(3), (len(self.parents), 1, 1))
        rotations[0] = turn
        translation = joints.mean(0) - self.joints[0] - turn @ (own.mean(0) - self.joints[0])
        return _State(rotations, translation, np.zeros(self.betas), 1.0, np.zeros(second_betas))

    def vertices_at(self, state: _State) -> Floats:
        """The posed vertices: [V, 3]."""
        world, _, _, offsets = self.frames(state)
        rest = state.scale * self.vertices(state.betas)
        blended = _product(self.weights, world.reshape(-1, 9)).reshape(-1, 3, 3)
        return np.einsum("nxy,ny->nx", blended, rest) + _product(self.weights, offsets)

    def frames(self, state: _State) -> tuple[Floats, Floats, Floats, Floats]:
        """World rotations, positions, rest positions of the joints, and the offsets that posing adds to rest points."""
        rest = state.scale * (self.joints + self.joint_shape @ state.betas)
        world, positions = forward_kinematics(torch.from_numpy(state.rotations), torch.from_numpy(rest), self.parents)
        world, positions = world.numpy(), positions.numpy() + state.translation
        return world, positions, rest, positions - np.einsum("jxy,jy->jx", world, rest)

    def linearised(self, state: _State) -> tuple[Floats, Floats, Floats]:
        """The chosen vertices and the shared joints: positions [n, 3], derivatives [n, 3, p], world rotations.

        The derivatives are by turns of joints about world axes, translation, betas and scale.
        """
        world, positions, rest_joints, offsets = self.frames(state)
        rest = state.scale * (self.points + self.point_shape @ state.betas)
        weights, count = self.point_weights, len(self.parents)
        by_joint = weights[..., None] * (np.einsum("jxy,ny->njx", world, rest) + offsets)
        points = by_joint.sum(1)
        # The lever arms of joint k: the points of its subtree, relative to it.
        arms = np.matmul(self.below, by_joint) - _product(weights, self.below.T)[..., None] * positions
        jacobian = np.zeros((len(points), 3, 3 * count + 3 + self.betas + 1))
        turns = np.zeros((len(points), 3, count, 3))
        for x, y, z in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
            turns[:, z, :, x], turns[:, y, :, x] = arms[..., y], -arms[..., z]
        jacobian[:, :, : 3 * count] = turns.reshape(len(points), 3, -1)
        jacobian[:, :, 3 * count : 3 * count + 3] = np.eye(3)
        moved = np.zeros_like(self.joint_shape)
        moved[0] = self.joint_shape[0]
        for joint, parent in enumerate(self.parents[1:], 1):
            moved[joint] = moved[parent] + world[parent] @ (self.joint_shape[joint] - self.joint_shape[parent])
        blended = _product(weights, world.reshape(-1, 9)).reshape(-1, 3, 3)
        bones = moved - world @ self.joint_shape
        by_bones = _product(weights, bones.reshape(count, -1)).reshape(len(points), *bones.shape[1:])
        shaped = blended @ self.point_shape + by_bones
        jacobian[:, :, 3 * count + 3 : -1] = state.scale * shaped
        jacobian[:, :, -1] = (points - positions[0] + rest_joints[0]) / state.scale
        return points, jacobian, world

    def turned(self, state: _State, world: Floats) -> Floats:
        """Rotation of each joint from its relaxed pose, about world axes: [J, 3]. The root is free, so it is zero."""
        local = matrix_to_axis_angle(torch.from_numpy(state.rotations @ self.relaxed.swapaxes(1, 2))).numpy()
        turned = [world[parent] @ turn for parent, turn in zip(self.parents[1:], local[1:])]
        return np.stack([np.zeros(3), *turned])

    def moved(self, state: _State, world: Floats, change: Floats) -> _State:
        """The state after a change of (turns, translation, betas, scale, second betas)."""
        j, s = len(self.parents), self.betas
        turns, translation, betas, scale, second = np.split(change, np.cumsum([3 * j, 3, s, 1]))
        turns = turns.reshape(j, 3)
        local = np.stack([turns[0], *(world[p].T @ turn for p, turn in zip(self.parents[1:], turns[1:]))])
        return _State(
            rotations=axis_angle_to_matrix(torch.from_numpy(local)).numpy() @ state.rotations,
            translation=state.translation + translation,
            betas=state.betas + betas,
            scale=state.scale + float(scale[0]),
            second_betas=state.second_betas + second,
        )


def _step(
    moving: _Moving,
    fixed: _Shape,
    joints: Ints,
    state: _State,
    surface: ClosestPointMesh | None,
    joint: float,
    turn: float,
) -> _State:
    """One Gauss-Newton step towards the fixed joints and, if given, the fixed surface.

    `joint` (metres) and `turn` (radians) are the standard deviations of joint positions and rotations.
    """
    points, jacobian, world = moving.linearised(state)
    size, n = jacobian.shape[-1], len(moving.chosen)
    # The gap closes if the first body moves towards the second, or the second towards the first.
    equations = _Equations(size + fixed.betas)
    target = fixed.joints[joints] + fixed.joint_shape[joints] @ state.second_betas
    weight = np.full(len(joints), joint**-2)
    equations.add(np.concatenate([jacobian[n:], -fixed.joint_shape[joints]], -1), target - points[n:], weight)
    if surface is not None:
        met, weight = _matches(moving.vertices_at(state), moving.faces, surface, moving.parts, moving.chosen)
        weight = weight * moving.share
        weight *= _COUNTED_POINTS / max(weight.sum(), 1e-30)
        shape = np.einsum("nc,ncxs->nxs", met.bary, fixed.shape[fixed.faces[met.face]])
        rows, gap = np.concatenate([jacobian[:n], -shape], -1), met.positions - points[:n]
        across = np.matmul(met.normals[:, None], rows)[:, 0]
        equations.add(across, (gap * met.normals).sum(-1), weight * _ACROSS**-2)
        equations.add(rows, gap, weight * _ALONG**-2)
    spread = [
        # Points outside the shared part, such as the body that a hand belongs to, stay as they are.
        np.where(moving.free, turn, 1e-4).repeat(3),
        np.full(3, 1e3),
        np.full(moving.betas, _BETA),
        [_SCALE],
        # A hand hardly determines a body's shape: both could shrink together to reduce the gap.
        np.full(fixed.betas, 1e-4 if moving.parts.is_cut else _BETA),
    ]
    turned = moving.turned(state, world).ravel()
    now = np.concatenate([turned, np.zeros(3), state.betas, [state.scale - 1], state.second_betas])
    return moving.moved(state, world, equations.solve(np.concatenate(spread), now))


class _Equations:
    """Normal equations, accumulated from rows."""

    def __init__(self, size: int) -> None:
        self.matrix, self.right = np.zeros((size, size)), np.zeros(size)

    def add(self, rows: Floats, residual: Floats, weight: Floats) -> None:
        """Add rows [n, p] or [n, 3, p], the residuals to explain, and a weight for each of the n."""
        weight = np.repeat(weight, rows.shape[1]) if rows.ndim == 3 else weight
        rows = rows.reshape(-1, rows.shape[-1])
        weighted = rows * weight[:, None]
        self.matrix += _product(weighted.T, rows)
        self.right += _product(weighted.T, residual.ravel())

    def solve(self, spread: Floats, now: Floats) -> Floats:
        """The change of the unknowns from their values `now`, with a prior of mean zero and deviation `spread`."""
        matrix, right = self.matrix + np.diag(spread**-2), self.right - now * spread**-2
        return torch.linalg.solve(torch.from_numpy(matrix), torch.from_numpy(right)).numpy()


def _matches(
    vertices: Floats, faces: Ints, surface: ClosestPointMesh, parts: SharedParts, chosen: Ints | slice = slice(None)
) -> tuple[Closest, Floats]:
    """Closest points of vertices on the fixed surface, with weights: 0 if part, normal or distance is wrong."""
    normals = vertex_normals(vertices, faces)[chosen]
    met = surface.closest(vertices[chosen], normals, parts.allowed, parts.first[chosen], _NORMAL_LENGTH)
    good = met.compatible & (met.cosine > _LEAST_COSINE) & (met.distance < _FARTHEST) & ~met.on_open_edge
    spread = max(1.5 * float(np.median(met.distance[good])) if good.any() else 0, 0.002)
    return met, good * (spread**2 / (spread**2 + met.distance**2)) ** 2


def _displace(vertices: Floats, faces: Ints, surface: ClosestPointMesh, parts: SharedParts) -> Floats:
    """Move vertices onto the surface by a smooth displacement, less stiff in every round."""
    from scipy import sparse
    from scipy.sparse.linalg import splu

    count, (edges, _) = len(vertices), edges_of(faces)
    incidence = sparse.csr_array(
        (np.tile([1.0, -1.0], len(edges)), (np.repeat(np.arange(len(edges)), 2), edges.ravel())), (len(edges), count)
    )
    roughness = incidence.T @ incidence
    for stiffness in _STIFFNESS:
        met, weight = _matches(vertices, faces, surface, parts)
        gap = met.positions - vertices
        # Only the distance along the normal is constrained; the tangential motion follows from the neighbours.
        gap = (gap * met.normals).sum(-1, keepdims=True) * met.normals
        system = sparse.diags_array(weight + 1e-6) + stiffness * roughness
        vertices = vertices + splu(system.tocsc()).solve(weight[:, None] * gap)
    return vertices


def _balanced(parts: Ints, areas: Floats) -> tuple[Ints, Floats]:
    """Some vertices of every part, weighted by the square root of their area, so that small parts count."""
    random = np.random.default_rng(0)
    chosen, share = [], []
    present = np.unique(parts[parts >= 0])
    most = max(_POINTS_PER_PART, _POINTS // len(present))
    for part in present:
        members = np.flatnonzero(parts == part)
        some = random.permutation(members)[:most]
        chosen.append(np.sort(some))
        share.append(np.full(len(some), np.sqrt(areas[members].sum() / len(some))))
    return np.concatenate(chosen), np.concatenate(share)


def _product(a: Floats, b: Floats) -> Floats:
    """Matrix product by torch, held at one thread here (`compute_maps`); NumPy would split sums over threads."""
    return (torch.from_numpy(a) @ torch.from_numpy(b)).numpy()


def _array(tensor: torch.Tensor) -> Floats:
    return tensor.detach().to("cpu", torch.float64).numpy()
