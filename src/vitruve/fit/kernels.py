"""The Gauss-Newton step on a joint tree, compiled with numba. `moments.py` explains the quantities.

The matrix (not the gradient) omits couplings between branches, such as the skin shared by both thighs, so that the
factorisation is cheap; the caller checks the trial step against the true error.

The code is plain loops in few functions, because every array expression or parallel loop costs seconds of compilation.
Only `gauss_newton_step` declares its types: it is compiled on import and includes the others, so that one cache file is
loaded, not six.
"""

from __future__ import annotations

import math

import numpy as np
from numba import bool_ as boolean
from numba import float64, int64, njit, void

_OPTIONS = {"cache": True, "nogil": True, "fastmath": True, "error_model": "numpy"}
_1, _2, _3, _4 = float64[::1], float64[:, ::1], float64[:, :, ::1], float64[:, :, :, ::1]
_I1, _I2, _B1 = int64[::1], int64[:, ::1], boolean[::1]


@njit(**_OPTIONS)
def _subtree_products(  # noqa: C901 (loops over small matrices, written out)
    world: np.ndarray,
    scratch: np.ndarray,
    moments: np.ndarray,
    pairs: np.ndarray,
    meeting: np.ndarray,
    parents: np.ndarray,
    depth: np.ndarray,
    q: np.ndarray,
) -> None:
    """q[k, d] (4 x 4): second moments of the subtree of joint k with the subtree of its ancestor at depth d.

    A pair (i, j) counts for k above i and for every ancestor of k that is also above j: down to where i and j meet.
    """
    q[:] = 0.0
    for n in range(len(pairs)):
        i, j, level = pairs[n, 0], pairs[n, 1], meeting[n]
        for a in range(3):
            for c in range(4):
                total = moments[n, 3, c] * world[i, a, 3]
                for b in range(3):
                    total += world[i, a, b] * moments[n, b, c]
                scratch[a, c] = total
        for c in range(4):
            scratch[3, c] = moments[n, 3, c]
        for a in range(4):
            for b in range(3):
                total = scratch[a, 3] * world[j, b, 3]
                for c in range(3):
                    total += scratch[a, c] * world[j, b, c]
                q[i, level, a, b] += total
                if i != j:
                    q[j, level, b, a] += total
            q[i, level, a, 3] += scratch[a, 3]
            if i != j:
                q[j, level, 3, a] += scratch[a, 3]
    for k in range(len(parents) - 1, -1, -1):
        parent, own = parents[k], depth[k]
        if parent >= 0:
            for d in range(own + 1):
                level = min(d, own - 1)
                for a in range(4):
                    for b in range(4):
                        q[parent, level, a, b] += q[k, d, a, b]
        for d in range(own - 1, -1, -1):
            for a in range(4):
                for b in range(4):
                    q[k, d, a, b] += q[k, d + 1, a, b]


@njit(**_OPTIONS)
def descent(
    world: np.ndarray,
    local: np.ndarray,
    residual: np.ndarray,
    slope: np.ndarray,
    parents: np.ndarray,
    wrench: np.ndarray,
    x: np.ndarray,
) -> None:
    """Minus half the gradient into x [nodes, 3]: row 0 the translation, row k + 1 the turn of joint k in the world."""
    joints = len(parents)
    wrench[:] = 0.0
    for k in range(joints - 1, -1, -1):
        # Force and torque about the origin of everything that hangs on the joint.
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            torque = 0.0
            for n in range(4):
                torque += world[k, b, n] * residual[k, c, n] - world[k, c, n] * residual[k, b, n]
            wrench[k, a] += residual[k, a, 3]
            wrench[k, a + 3] += torque
        parent = parents[k]
        if parent >= 0:
            for a in range(6):
                wrench[parent, a] += wrench[k, a]
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            x[k + 1, a] = wrench[k, a + 3] - world[k, b, 3] * wrench[k, c] + world[k, c, 3] * wrench[k, b]
        # Terms of the local rotation alone: from its entries to a rotation in the parent's frame, then in the world.
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            turn = 0.0
            for n in range(3):
                turn += local[k, c, n] * slope[k, b, n] - local[k, b, n] * slope[k, c, n]
            for n in range(3):
                x[k + 1, n] += 0.5 * turn * (world[parent, n, a] if parent >= 0 else 1.0 if n == a else 0.0)
    for a in range(3):
        x[0, a] = wrench[0, a]


@njit(**_OPTIONS)
def _normal_matrix(  # noqa: C901
    world: np.ndarray,
    q: np.ndarray,
    curvature: np.ndarray,
    parents: np.ndarray,
    depth: np.ndarray,
    damping: float,
    least: float,
    free: np.ndarray,
    h: np.ndarray,
) -> None:
    """Blocks h[node, depth of the other] (3 x 3); node 0 is the translation, node k + 1 joint k."""
    total = q[0, 0, 3, 3]
    for a in range(3):
        for b in range(3):
            h[0, 0, a, b] = total * (1.0 + damping) if a == b else 0.0
    for k in range(len(parents)):
        level, own = k, depth[k] + 1
        for d in range(own, 0, -1):
            trace = 0.0
            for a in range(3):
                for b in range(3):
                    value = q[k, d - 1, a, b] + q[k, d - 1, 3, 3] * world[k, a, 3] * world[level, b, 3]
                    value -= world[k, a, 3] * q[k, d - 1, 3, b] + q[k, d - 1, a, 3] * world[level, b, 3]
                    h[k + 1, d, b, a] = -value
                    if a == b:
                        trace += value
            for a in range(3):
                h[k + 1, d, a, a] += trace
            level = parents[level]
        # Against the translation: the cross product with the first moment about the joint.
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            first = q[k, 0, a, 3] - world[k, a, 3] * q[k, 0, 3, 3]
            h[k + 1, 0, a, a] = 0.0
            h[k + 1, 0, b, c] = -first
            h[k + 1, 0, c, b] = first
        parent = parents[k]
        lift = damping * (h[k + 1, own, 0, 0] + h[k + 1, own, 1, 1] + h[k + 1, own, 2, 2]) / 3.0 + least
        for a in range(3):
            h[k + 1, own, a, a] += lift
            for b in range(3):
                for m in range(3):
                    for n in range(3):
                        if parent >= 0:
                            h[k + 1, own, a, b] += world[parent, a, m] * curvature[k, m, n] * world[parent, b, n]
                        elif m == a and n == b:
                            h[k + 1, own, a, b] += curvature[k, m, n]
        # A frozen joint is uncoupled from those above it, and `_solve_tree` leaves out its column below it.
        if not free[k]:
            h[k + 1, :own] = 0.0


@njit(**_OPTIONS)
def _solve_tree(  # noqa: C901
    h: np.ndarray, x: np.ndarray, above: np.ndarray, depth: np.ndarray, free: np.ndarray, inverse: np.ndarray
) -> None:
    """Factor h = L^T D L along the tree and solve in place. above[node, d] is the node's ancestor at depth d."""
    nodes = len(x)
    for k in range(nodes - 1, -1, -1):
        own = depth[k - 1] + 1 if k else 0
        m = h[k, own]
        for a in range(3):
            b, c = (a + 1) % 3, (a + 2) % 3
            for n in range(3):
                u, v = (n + 1) % 3, (n + 2) % 3
                inverse[k, a, n] = m[b, u] * m[c, v] - m[b, v] * m[c, u]
        scale = 1.0 / (m[0, 0] * inverse[k, 0, 0] + m[0, 1] * inverse[k, 0, 1] + m[0, 2] * inverse[k, 0, 2])
        for a in range(3):
            for n in range(3):
                inverse[k, a, n] *= scale
        # Rows of L overwrite h: D^-1 times the block; the block itself is still needed for those further up.
        for u in range(own - 1, -1, -1):
            up = above[k, u]
            held = up > 0 and not free[up - 1]
            for a in range(3):
                for n in range(3):
                    total = 0.0
                    if not held:
                        for c in range(3):
                            total += inverse[k, a, c] * h[k, u, c, n]
                    inverse[nodes, a, n] = total
            for v in range(u + 1):
                for a in range(3):
                    for n in range(3):
                        total = 0.0
                        for c in range(3):
                            total += inverse[nodes, c, a] * h[k, v, c, n]
                        h[up, v, a, n] -= total
            for a in range(3):
                for n in range(3):
                    h[k, u, a, n] = inverse[nodes, a, n]
        for u in range(own):
            for a in range(3):
                for c in range(3):
                    x[above[k, u], a] -= h[k, u, c, a] * x[k, c]
    for k in range(nodes):
        own = depth[k - 1] + 1 if k else 0
        x0, x1, x2 = x[k, 0], x[k, 1], x[k, 2]
        for a in range(3):
            total = inverse[k, a, 0] * x0 + inverse[k, a, 1] * x1 + inverse[k, a, 2] * x2
            for u in range(own):
                for c in range(3):
                    total -= h[k, u, a, c] * x[above[k, u], c]
            x[k, a] = total


@njit(**_OPTIONS)
def _turn(
    world: np.ndarray,
    x: np.ndarray,
    local: np.ndarray,
    parents: np.ndarray,
    free: np.ndarray,
    out: np.ndarray,
    scratch: np.ndarray,
) -> None:
    """Apply the step to the local rotations: Rodrigues' formula on the step in the parent's frame."""
    for k in range(len(parents)):
        parent = parents[k]
        square = 0.0
        for a in range(3):
            total = x[k + 1, a]
            if parent >= 0:
                total = 0.0
                for c in range(3):
                    total += world[parent, c, a] * x[k + 1, c]
            if not free[k]:
                total = 0.0
            scratch[0, a] = total
            square += total * total
        angle = math.sqrt(square)
        sine = 1.0 - square / 6.0 if angle < 1e-4 else math.sin(angle) / angle
        cosine = 0.5 - square / 24.0 if angle < 1e-4 else (1.0 - math.cos(angle)) / square
        for n in range(3):
            along = 0.0
            for a in range(3):
                along += scratch[0, a] * local[k, a, n]
            for a in range(3):
                b, c = (a + 1) % 3, (a + 2) % 3
                across = scratch[0, b] * local[k, c, n] - scratch[0, c] * local[k, b, n]
                out[k, a, n] = local[k, a, n] * (1.0 - cosine * square) + sine * across + cosine * along * scratch[0, a]


@njit(void(_4, _4, _4, _4, _4, _1, _1, _1, _3, _I2, _I1, _I1, _I1, _I2, _B1, _4, _2), **_OPTIONS)
def gauss_newton_step(  # noqa: PLR0913 (arrays only: the compiler takes no objects)
    world: np.ndarray,
    local: np.ndarray,
    residual: np.ndarray,
    slope: np.ndarray,
    curvature: np.ndarray,
    damping: np.ndarray,
    least: np.ndarray,
    reach: np.ndarray,
    moments: np.ndarray,
    pairs: np.ndarray,
    meeting: np.ndarray,
    parents: np.ndarray,
    depth: np.ndarray,
    above: np.ndarray,
    free: np.ndarray,
    turned: np.ndarray,
    moved: np.ndarray,
) -> None:
    """One damped Gauss-Newton step for each frame.

    Args:
        world: [frames, joints, 3, 4] world rotations and positions of the joints.
        local: [frames, joints, 3, 3] parent-relative rotations.
        residual: [frames, joints, 3, 4] moments of the residuals.
        slope, curvature: [frames, joints, 3, 3] of the terms on local rotations, as in `RotationPull`.
        damping: [frames] relative addition to the diagonal.
        least: [frames] absolute addition to the diagonal of the rotations.
        reach: [frames] factor on the step.
        moments, pairs, meeting, parents, depth, above: as in `Moments`.
        free: [joints] False where a joint is frozen.
        turned: [frames, joints, 3, 3] the new local rotations (out).
        moved: [frames, 3] the step of the translation (out).
    """
    joints, levels = len(parents), above.shape[1] + 1
    q, h = np.empty((joints, levels - 1, 4, 4)), np.empty((joints + 1, levels, 3, 3))
    x, inverse = np.empty((joints + 1, 3)), np.empty((joints + 2, 3, 3))
    scratch, wrench = np.empty((4, 4)), np.empty((joints, 6))
    for f in range(len(world)):
        _subtree_products(world[f], scratch, moments, pairs, meeting, parents, depth, q)
        descent(world[f], local[f], residual[f], slope[f], parents, wrench, x)
        _normal_matrix(world[f], q, curvature[f], parents, depth, damping[f], least[f], free, h)
        for k in range(joints):
            if not free[k]:
                x[k + 1] = 0.0
        _solve_tree(h, x, above, depth, free, inverse)
        x *= reach[f]
        _turn(world[f], x, local[f], parents, free, turned[f], scratch)
        for a in range(3):
            moved[f, a] = x[0, a]
