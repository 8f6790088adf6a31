"""Which triangle is seen at each pixel: a compiled z-buffer that needs no display or graphics driver.

The kernels release the GIL, so that frames of a film are drawn in parallel.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import NDArray

from vitruve.draw.framing import Floats

# A pixel centre this far outside an edge (as a share of the triangle) still counts, so that rounding leaves no holes.
_EDGE = -1e-9
# The drawn part begins at a multiple of so many pixels, so that coarser grids do not move with the body.
_ALIGN = 64


class Cover(NamedTuple):
    """The part of a picture where triangles are, before anything is interpolated.

    Attributes:
        owner: [rows, columns] number of the nearest visible triangle, or -1.
        left, top: the part's first pixel.
        face: [visible] index of each visible triangle in the mesh.
        linear: [visible, 6] the screen weight of each of the first two corners is x, y, 1 times three of these.
        inverse_depth: [visible, 3] of the corners.
    """

    owner: NDArray[np.int32]
    left: int
    top: int
    face: NDArray[np.int64]
    linear: Floats
    inverse_depth: Floats


def covered(
    screen: Floats,
    depth: Floats,
    faces: NDArray[np.int64],
    size: tuple[int, int],
    cull: bool = True,
    near: float = 0.01,
) -> Cover:
    """The nearest triangle at every pixel of the part of the picture that triangles reach.

    Args:
        screen: [vertices, 2] pixel positions; NaN for vertices not to draw.
        depth: [vertices] metres along the line of sight.
        faces: [faces, 3] vertex indices.
        size: width and height in pixels.
        cull: skip triangles seen from behind.
        near: skip triangles with a corner nearer than this, metres.
    """
    face, linear, inverse, box = _visible(screen, depth, faces, size[0], size[1], cull, near)
    if not len(face):
        return Cover(np.full((0, 0), -1, np.int32), 0, 0, face, linear, inverse)
    left, top = box[:, 0].min() // _ALIGN * _ALIGN, box[:, 1].min() // _ALIGN * _ALIGN
    right, bottom = (-(-(box[:, k].max() + 1) // _ALIGN) * _ALIGN for k in (2, 3))
    shape = (min(bottom, size[1]) - top, min(right, size[0]) - left)
    owner = _nearest(linear, inverse, box, left, top, shape[0], shape[1])
    return Cover(owner, int(left), int(top), face, linear, inverse)


@njit(nogil=True, cache=True)
def _visible(screen: Any, depth: Any, faces: Any, width: int, height: int, cull: bool, near: float) -> Any:
    """Visible triangles: index, weights as functions of the pixel, inverse depths, first and last pixel."""
    face, count = np.empty(len(faces), np.int64), 0
    linear, inverse, box = np.empty((len(faces), 6)), np.empty((len(faces), 3)), np.empty((len(faces), 4), np.int32)
    for f in range(len(faces)):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        # Written so that NaN is skipped too.
        if not (depth[i] > near and depth[j] > near and depth[k] > near):
            continue
        ax, ay, bx, by, cx, cy = screen[i, 0], screen[i, 1], screen[j, 0], screen[j, 1], screen[k, 0], screen[k, 1]
        area = (bx - ax) * (cy - ay) - (by - ay) * (cx - ax)
        # Pixel rows run downwards, so a triangle that is counter-clockwise to the viewer has a negative area here.
        if not (area < 0 or (area > 0 and not cull)) or not np.isfinite(area):
            continue
        low_x, high_x = np.ceil(min(ax, bx, cx) - 0.5), np.floor(max(ax, bx, cx) - 0.5)
        low_y, high_y = np.ceil(min(ay, by, cy) - 0.5), np.floor(max(ay, by, cy) - 0.5)
        low_x, low_y = max(low_x, 0.0), max(low_y, 0.0)
        high_x, high_y = min(high_x, width - 1.0), min(high_y, height - 1.0)
        if low_x > high_x or low_y > high_y:
            continue
        face[count] = f
        linear[count, 0], linear[count, 1] = (by - cy) / area, (cx - bx) / area
        linear[count, 2] = (bx * cy - by * cx) / area
        linear[count, 3], linear[count, 4] = (cy - ay) / area, (ax - cx) / area
        linear[count, 5] = (cx * ay - cy * ax) / area
        inverse[count, 0], inverse[count, 1], inverse[count, 2] = 1 / depth[i], 1 / depth[j], 1 / depth[k]
        box[count, 0], box[count, 1], box[count, 2], box[count, 3] = int(low_x), int(low_y), int(high_x), int(high_y)
        count += 1
    return face[:count].copy(), linear[:count].copy(), inverse[:count].copy(), box[:count].copy()


@njit(nogil=True, cache=True)
def _nearest(linear: Any, inverse: Any, box: Any, left: int, top: int, rows: int, columns: int) -> Any:
    """The z-buffer. Inverse depth is linear on the screen; of two equally near triangles the later one is kept."""
    owner, best = np.full((rows, columns), -1, np.int32), np.zeros((rows, columns), np.float32)
    for t in range(len(linear)):
        ax, ay, a0, bx, by, b0 = linear[t, 0], linear[t, 1], linear[t, 2], linear[t, 3], linear[t, 4], linear[t, 5]
        za, zb, zc = inverse[t, 0], inverse[t, 1], inverse[t, 2]
        for y in range(box[t, 1], box[t, 3] + 1):
            a_row, b_row = ay * (y + 0.5) + a0, by * (y + 0.5) + b0
            for x in range(box[t, 0], box[t, 2] + 1):
                a, b = ax * (x + 0.5) + a_row, bx * (x + 0.5) + b_row
                c = 1 - a - b
                if a >= _EDGE and b >= _EDGE and c >= _EDGE:
                    near = np.float32(a * za + b * zb + c * zc)
                    if near >= best[y - top, x - left]:
                        best[y - top, x - left], owner[y - top, x - left] = near, t
    return owner


@njit(nogil=True, cache=True)
def corner_weights(linear: Any, inverse: Any, t: int, x: float, y: float) -> tuple[float, float, float, float]:
    """Perspective-correct weights of a visible triangle's corners at a point of the screen, and the depth there."""
    # Complete arrays and an index: slicing a row in the innermost loop would cost more than the arithmetic.
    a = max(linear[t, 0] * x + linear[t, 1] * y + linear[t, 2], 0.0)
    b = max(linear[t, 3] * x + linear[t, 4] * y + linear[t, 5], 0.0)
    c = max(1 - a - b, 0.0)
    near_a, near_b, near_c = a * inverse[t, 0], b * inverse[t, 1], c * inverse[t, 2]
    scale = 1 / (near_a + near_b + near_c)
    return near_a * scale, near_b * scale, near_c * scale, (a + b + c) * scale
