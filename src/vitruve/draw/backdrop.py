"""Behind and below the bodies: a light backdrop, a faint grid on the ground, and contact shadows."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from vitruve.draw.framing import Floats, focal_px, on_picture
from vitruve.geometry.camera import Camera

Picture = NDArray[np.uint8]

_BACK_TOP, _BACK_BOTTOM = np.array([0.93, 0.937, 0.95]), np.array([0.88, 0.886, 0.896])
_SHADOW_CELL, _SHADOW_REACH = 0.02, 0.8  # metres
# Bounds time and memory: bodies far apart get a coarser map.
_MOST_CELLS = 600_000
# Of each layer of the shadow: height and softness in metres, and darkness.
_LAYERS = ((0.10, 0.025, 0.42), (0.9, 0.16, 0.34))
# The grid: metres between lines, half a line's width, darkness, and the distances between which it fades out.
_GRID_STEP, _GRID_HALF, _GRID_DARK, _GRID_NEAR, _GRID_FAR = 1.0, 0.004, 0.13, 5.0, 14.0


def backdrop(
    size: tuple[int, int], camera: Camera | None = None, grid: float | None = None, middle: ArrayLike = (0.0, 0.0)
) -> Picture:
    """The light backdrop, [height, width, 3].

    Without the grid, all columns are equal, so that pictures can be put side by side.

    Args:
        size: width and height in pixels.
        camera: needed for the grid only.
        grid: height of a ground with lines every metre; None for none.
        middle: centre of the grid on the ground, metres; the grid fades out around it.
    """
    width, height = size
    share = (np.arange(height) + 0.5) / height
    rows = 255 * (_BACK_TOP + (_BACK_BOTTOM - _BACK_TOP) * share[:, None] ** 1.5)
    picture = _striped((rows + 0.5).astype(np.uint8), width)
    if grid is not None and camera is not None:
        _draw_grid(picture, *_place(camera, size), grid, np.asarray(middle, np.float64)[:2])
    return picture


class Shadow(NamedTuple):
    """A map of how dark the ground is.

    Attributes:
        dark: [cells x, cells y], 0 to 1.
        corner: x and y of the first cell's middle, metres.
        cell: metres from cell to cell.
        ground: height in metres.
    """

    dark: NDArray[np.float32]
    corner: Floats
    cell: float
    ground: float


def shadow_of(vertices: Floats, faces: NDArray[np.int64], ground: float) -> Shadow | None:
    """The shadow of a mesh on the ground, darker and sharper near contact; None if all vertices are NaN."""
    low, high = _extent(vertices)
    if not low[0] <= high[0]:
        return None
    low, high = low - _SHADOW_REACH, high + _SHADOW_REACH
    cell = max(_SHADOW_CELL, math.sqrt(float(np.prod(high - low)) / _MOST_CELLS))
    corner = np.floor(low / cell) * cell  # fixed from frame to frame, so that the cells do not appear to move
    cells = np.ceil((high - corner) / cell).astype(int) + 1
    lit = np.ones(cells, np.float32)
    for fade, blur, strength in _LAYERS:
        layer = _splat(vertices, faces, corner, cell, (int(cells[0]), int(cells[1])), ground, fade)
        # Dots leave gaps: a small blur closes them, and the clip makes the inside even.
        layer = (2.5 * gaussian(layer, 0.03 / cell)).clip(0, 1)
        lit *= 1 - np.float32(strength) * gaussian(layer, blur / cell)
    return Shadow(1 - lit, corner, cell, ground)


def cast(picture: Picture, shadow: Shadow | None, camera: Camera) -> None:
    """Darken a picture where the shadow is seen, in place."""
    if shadow is not None:
        size = picture.shape[1], picture.shape[0]
        _cast(picture, *_place(camera, size), shadow, _window(shadow, camera, size))


def gaussian(image: NDArray[np.float32], sigma: float) -> NDArray[np.float32]:
    """A Gaussian blur, cut off at four sigma, with zeros outside of the image."""
    reach = int(4 * sigma + 0.5)
    taps = np.exp(-0.5 * (np.arange(-reach, reach + 1) / max(sigma, 1e-9)) ** 2)
    return _separable(np.ascontiguousarray(image, np.float32), (taps / taps.sum()).astype(np.float32))


def _place(camera: Camera, size: tuple[int, int]) -> tuple[Floats, Floats, float]:
    return camera.position.numpy(), np.ascontiguousarray(camera.axes.numpy()), focal_px(camera, size)


def _window(shadow: Shadow, camera: Camera, size: tuple[int, int]) -> tuple[int, int, int, int]:
    """Left, right, top and bottom pixels between which the shadow can be seen."""
    ends = np.stack([shadow.corner, shadow.corner + np.array(shadow.dark.shape) * shadow.cell])
    corners = np.array([[x, y, shadow.ground] for x in ends[:, 0] for y in ends[:, 1]])
    pixels, depth = on_picture(camera, corners, size)
    if depth.min() < 0.05:
        return 0, size[0], 0, size[1]
    left, top = np.floor(pixels.min(0)).clip(0, size).astype(int).tolist()
    right, bottom = np.ceil(pixels.max(0)).clip(0, size).astype(int).tolist()
    return left, right, top, bottom


@njit(nogil=True, cache=True)
def _extent(vertices: Any) -> tuple[Any, Any]:
    """Smallest and largest x and y of the vertices that are not NaN."""
    low, high = np.full(2, np.inf), np.full(2, -np.inf)
    for i in range(len(vertices)):
        for k in range(2):
            if vertices[i, k] < low[k]:
                low[k] = vertices[i, k]
            if vertices[i, k] > high[k]:
                high[k] = vertices[i, k]
    return low, high


@njit(nogil=True, cache=True)
def _splat(vertices: Any, faces: Any, corner: Any, cell: float, shape: Any, ground: float, fade: float) -> Any:
    """How near the ground the mesh is above each cell: 1 at contact, less with the height."""
    layer = np.zeros(shape, np.float32)
    for i in range(len(vertices)):
        _dot(layer, vertices[i, 0], vertices[i, 1], vertices[i, 2], corner, cell, ground, fade)
    for f in range(len(faces)):
        a, b, c = vertices[faces[f, 0]], vertices[faces[f, 1]], vertices[faces[f, 2]]
        long = max(abs(a[0] - b[0]), abs(a[1] - b[1]), abs(b[0] - c[0]), abs(b[1] - c[1]))
        long = max(long, abs(c[0] - a[0]), abs(c[1] - a[1]))
        # For small triangles the corners are enough.
        if long > 2 * cell:
            steps = min(int(long / cell) + 1, 400)
            for i in range(steps + 1):
                for j in range(steps + 1 - i):
                    u, v = i / steps, j / steps
                    w = 1 - u - v
                    x, y = u * a[0] + v * b[0] + w * c[0], u * a[1] + v * b[1] + w * c[1]
                    _dot(layer, x, y, u * a[2] + v * b[2] + w * c[2], corner, cell, ground, fade)
    return layer


@njit(nogil=True, cache=True)
def _dot(layer: Any, x: float, y: float, z: float, corner: Any, cell: float, ground: float, fade: float) -> None:
    height = max(z - ground, 0.0)
    if np.isfinite(x) and np.isfinite(y) and height < 8 * fade:
        column, row = int((x - corner[0]) / cell), int((y - corner[1]) / cell)
        layer[column, row] = max(layer[column, row], np.float32(math.exp(-height / fade)))


@njit(nogil=True, cache=True)
def _separable(image: Any, taps: Any) -> Any:
    rows, columns = image.shape
    reach = len(taps) // 2
    across, out = np.zeros_like(image), np.zeros_like(image)
    for k in range(-reach, reach + 1):
        weight = taps[k + reach]
        first, last = max(0, -k), min(columns, columns - k)
        for y in range(rows):
            if first < last:
                source, goal = image[y, first + k : last + k], across[y, first:last]
                for x in range(len(goal)):
                    goal[x] += weight * source[x]
    for y in range(rows):
        goal = out[y]
        for k in range(max(-reach, -y), min(reach, rows - 1 - y) + 1):
            weight, source = taps[k + reach], across[y + k]
            for x in range(columns):
                goal[x] += weight * source[x]
    return out


@njit(nogil=True, cache=True, fastmath=True)
def _cast(picture: Any, position: Any, axes: Any, focal: float, shadow: Any, window: Any) -> None:
    dark, corner, cell, ground = shadow
    left, right, top, bottom = window
    height, width = picture.shape[:2]
    cells_x, cells_y = dark.shape
    for row in range(top, bottom):
        down = (row + 0.5 - height / 2) / focal
        for column in range(left, right):
            side = (column + 0.5 - width / 2) / focal
            falling = axes[2, 2] + side * axes[0, 2] + down * axes[1, 2]
            distance = (ground - position[2]) / falling if falling < -1e-6 else -1.0
            if distance <= 0:
                continue
            x = (position[0] + distance * (axes[2, 0] + side * axes[0, 0] + down * axes[1, 0]) - corner[0]) / cell
            y = (position[1] + distance * (axes[2, 1] + side * axes[0, 1] + down * axes[1, 1]) - corner[1]) / cell
            if not (0 <= x < cells_x - 1 and 0 <= y < cells_y - 1):
                continue
            i, j = int(x), int(y)
            u, v = x - i, y - j
            near = dark[i, j] * (1 - v) + dark[i, j + 1] * v
            shade = near * (1 - u) + (dark[i + 1, j] * (1 - v) + dark[i + 1, j + 1] * v) * u
            # Fades out towards the edges, so that pictures side by side have no seam.
            shade *= min(1.0, min(column, width - 1 - column) / (0.12 * width))
            for k in range(3):
                picture[row, column, k] = np.uint8(picture[row, column, k] * (1 - shade) + 0.5)


@njit(nogil=True, cache=True)
def _striped(rows: Any, width: int) -> Any:
    """A picture whose rows have one colour each."""
    picture = np.empty((len(rows), width, 3), np.uint8)
    for row in range(len(rows)):
        red, green, blue = rows[row, 0], rows[row, 1], rows[row, 2]
        for column in range(width):
            picture[row, column, 0], picture[row, column, 1], picture[row, column, 2] = red, green, blue
    return picture


@njit(nogil=True, cache=True, fastmath=True)
def _line(at: float, footprint: float) -> float:
    """Share of a pixel that a grid line covers; lines too near each other to be separate fade out."""
    # Without branches, so that the compiler can vectorise over pixels.
    away = abs(at - _GRID_STEP * math.floor(at / _GRID_STEP + 0.5))
    covered = min(max(_GRID_HALF + footprint / 2 - away, 0.0) / max(footprint, 1e-9), 1.0)
    return min(covered, 2 * _GRID_HALF / max(footprint, 2 * _GRID_HALF)) * max(0.0, 1 - 2.5 * footprint / _GRID_STEP)


@njit(nogil=True, cache=True, fastmath=True)
def _draw_grid(picture: Any, position: Any, axes: Any, focal: float, ground: float, middle: Any) -> None:
    height, width = picture.shape[:2]
    darkness = np.empty(width)
    for row in range(height):
        down = (row + 0.5 - height / 2) / focal
        _grid_row(darkness, down, position, axes, focal, ground, middle)
        for column in range(width):
            if darkness[column] > 0:
                for k in range(3):
                    picture[row, column, k] = np.uint8(picture[row, column, k] * (1 - darkness[column]) + 0.5)


@njit(nogil=True, cache=True, fastmath=True)
def _grid_row(darkness: Any, down: float, position: Any, axes: Any, focal: float, ground: float, middle: Any) -> None:
    """How dark the grid is at each pixel of a row."""
    width = len(darkness)
    r0, r1, r2, d0, d1, d2 = axes[0, 0], axes[0, 1], axes[0, 2], axes[1, 0], axes[1, 1], axes[1, 2]
    row_x, row_y, row_z = axes[2, 0] + down * d0, axes[2, 1] + down * d1, axes[2, 2] + down * d2
    drop, from_x, from_y, to_x, to_y = ground - position[2], position[0], position[1], middle[0], middle[1]
    for column in range(width):
        side = (column + 0.5 - width / 2) / focal
        # Rays that do not reach the ground count as far away, where the grid has faded out.
        falling = min(row_z + side * r2, -1e-6)
        distance = max(drop / falling, 0.0)
        way_x, way_y = row_x + side * r0, row_y + side * r1
        x, y = from_x + distance * way_x, from_y + distance * way_y
        away = math.sqrt((x - to_x) ** 2 + (y - to_y) ** 2)
        # Distances on the ground to the next pixel to the right and below.
        scale, lean_x, lean_y = distance / focal, way_x / falling, way_y / falling
        foot_x = scale * (abs(r0 - lean_x * r2) + abs(d0 - lean_x * d2))
        foot_y = scale * (abs(r1 - lean_y * r2) + abs(d1 - lean_y * d2))
        fade = max(0.0, min(1.0, (_GRID_FAR - away) / (_GRID_FAR - _GRID_NEAR)))
        seen = 1.0 if distance > 0 else 0.0
        darkness[column] = _GRID_DARK * max(_line(x, foot_x), _line(y, foot_y)) * fade * seen
