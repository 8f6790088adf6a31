"""Draw a mesh: soft studio light, a light background, a contact shadow on the ground."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numba import njit
from numpy.typing import ArrayLike, NDArray

from vitruve.draw.backdrop import Picture, backdrop, cast, gaussian, shadow_of
from vitruve.draw.framing import focal_px, on_picture
from vitruve.draw.raster import Cover, corner_weights, covered
from vitruve.geometry.camera import Camera

CLAY = (0.64, 0.72, 0.82)
"""The default colour of a body: red, green, blue from 0 to 1."""

# Direction to each light (right, down, towards the viewer), its colour, and how far it reaches around the form.
_LIGHTS = (
    ((-0.55, -0.75, 0.75), (1.12, 1.07, 0.99), 0.20),  # key: from the upper left, warm
    ((0.90, -0.10, 0.55), (0.16, 0.20, 0.27), 0.50),  # fill: from the right, cool
    ((0.35, -0.60, -0.85), (0.46, 0.48, 0.52), 0.10),  # rim: from behind
)
_SKY, _FLOOR = np.array([0.22, 0.25, 0.29]), np.array([0.15, 0.135, 0.125])
_WAYS = np.array([np.divide(towards, np.linalg.norm(towards)) for towards, _, _ in _LIGHTS])
_HUES = np.array([colour for _, colour, _ in _LIGHTS])
_WRAPS = np.array([wrap for _, _, wrap in _LIGHTS])
_OVERSAMPLING = 2  # in both directions; `_paint` names the four samples
_WIRE = 0.04  # share of a triangle's height that its edge line takes
_CREASES = ((0.012, 0.012), (0.04, 0.03))  # width of folds in metres, and at most as a share of the picture
# The screen's gamma as a table over the square root of the light, where it is nearly linear.
_STEPS = 1024
_GAMMA = np.linspace(0, 1, _STEPS + 2) ** (2 / 2.2)


def render(
    vertices: ArrayLike,
    faces: ArrayLike,
    camera: Camera,
    size: tuple[int, int],
    colours: ArrayLike | None = None,
    ground: float | None = None,
    wire: bool = False,
) -> Picture:
    """A picture [height, width, 3] of a mesh.

    Args:
        vertices: [vertices, 3] metres, z up.
        faces: [faces, 3] vertex indices, counter-clockwise seen from outside.
        colours: [vertices, 3] or [3], red, green, blue from 0 to 1; clay by default.
        ground: height of the ground that the shadow falls on, metres; None for no shadow.
    """
    picture = backdrop(size)
    if ground is not None:
        triangles = np.asarray(faces, np.int64).reshape(-1, 3)
        cast(picture, shadow_of(np.asarray(vertices, np.float64), triangles, ground), camera)
    draw(picture, vertices, faces, camera, colours, wire)
    return picture


def draw(
    picture: Picture,
    vertices: ArrayLike,
    faces: ArrayLike,
    camera: Camera,
    colours: ArrayLike | None = None,
    wire: bool = False,
    opacity: float = 1.0,
) -> None:
    """Draw a mesh over a picture [height, width, 3], in place.

    Args:
        vertices: [vertices, 3] metres, z up; triangles with a NaN corner are left out.
        faces, camera, colours, wire: as in `render`.
        opacity: 1 hides the picture behind, less lets it shine through.
    """
    height, width = picture.shape[:2]
    points = np.ascontiguousarray(np.asarray(vertices, np.float64))
    triangles = np.ascontiguousarray(np.asarray(faces, np.int64).reshape(-1, 3))
    fine = (width * _OVERSAMPLING, height * _OVERSAMPLING)
    screen, depth = on_picture(camera, points, fine)
    cover = covered(np.ascontiguousarray(screen), np.ascontiguousarray(depth), triangles, fine)
    if not cover.owner.size:
        return
    tint = np.asarray(CLAY if colours is None else colours, np.float64) ** 2.2
    albedo = np.ascontiguousarray(np.broadcast_to(tint, points.shape))
    ahead = depth[depth > 0.01]
    metre = focal_px(camera, (width, height)) / float(np.median(ahead))
    shade = _creases(cover, metre, height)
    normals = _normals(points, triangles)
    _paint(picture, cover, triangles, normals, albedo, shade, np.ascontiguousarray(camera.axes.numpy()), wire, opacity)


def _creases(cover: Cover, metre: float, height: int) -> NDArray[np.float32]:
    """How deep each pixel of the drawn part is below its surroundings, 0 to 1: darkens folds and what an arm hides.

    `cover` is on the fine grid; `metre` is in pixels at the distance of the bodies, `height` that of the picture.
    """
    depth, mask = _coarse(cover)
    total = np.zeros_like(depth)
    for radius, share in _CREASES:
        blur = min(radius * metre, share * height)
        # A wide blur is computed on a coarser grid, where it costs little and looks the same.
        step = max(1, int(blur / 3))
        wide_depth, wide_mask = _shrunk(depth, step), _shrunk(mask, step)
        wide_depth, wide_mask = gaussian(wide_depth, blur / step), gaussian(wide_mask, blur / step)
        _deepen(total, depth, mask, wide_depth, wide_mask, step, 1.6 * blur / metre)
    return total


@njit(nogil=True, cache=True)
def _normals(vertices: Any, faces: Any) -> Any:
    normals = np.zeros_like(vertices)
    for f in range(len(faces)):
        i, j, k = faces[f, 0], faces[f, 1], faces[f, 2]
        a0, a1, a2 = vertices[j, 0] - vertices[i, 0], vertices[j, 1] - vertices[i, 1], vertices[j, 2] - vertices[i, 2]
        b0, b1, b2 = vertices[k, 0] - vertices[i, 0], vertices[k, 1] - vertices[i, 1], vertices[k, 2] - vertices[i, 2]
        n0, n1, n2 = a1 * b2 - a2 * b1, a2 * b0 - a0 * b2, a0 * b1 - a1 * b0
        for v in (i, j, k):
            normals[v, 0] += n0
            normals[v, 1] += n1
            normals[v, 2] += n2
    for v in range(len(normals)):
        length = math.sqrt(normals[v, 0] ** 2 + normals[v, 1] ** 2 + normals[v, 2] ** 2)
        for c in range(3):
            normals[v, c] /= max(length, 1e-12)
    return normals


@njit(nogil=True, cache=True)
def _coarse(cover: Any) -> tuple[Any, Any]:
    """Depth (0 where empty) and mask at the first sample of every pixel."""
    owner, left, top, _, linear, inverse = cover
    rows, columns = -(-owner.shape[0] // _OVERSAMPLING), -(-owner.shape[1] // _OVERSAMPLING)
    depth, mask = np.zeros((rows, columns), np.float32), np.zeros((rows, columns), np.float32)
    for row in range(rows):
        for column in range(columns):
            y, x = row * _OVERSAMPLING, column * _OVERSAMPLING
            t = owner[y, x]
            if t >= 0:
                mask[row, column] = 1
                depth[row, column] = corner_weights(linear, inverse, t, x + left + 0.5, y + top + 0.5)[3]
    return depth, mask


@njit(nogil=True, cache=True)
def _shrunk(image: Any, step: int) -> Any:
    """Means of blocks; smaller blocks at the edges are padded with zeros."""
    if step == 1:
        return image
    out = np.zeros((-(-image.shape[0] // step), -(-image.shape[1] // step)), np.float32)
    for row in range(image.shape[0]):
        for column in range(image.shape[1]):
            out[row // step, column // step] += image[row, column]
    return out / np.float32(step * step)


@njit(nogil=True, cache=True, fastmath=True)
def _deepen(total: Any, depth: Any, mask: Any, wide_depth: Any, wide_mask: Any, step: int, scale: float) -> None:
    rows, columns = wide_mask.shape
    for row in range(total.shape[0]):
        y = min(max((row + 0.5) / step - 0.5, 0.0), rows - 1.0)
        i = min(int(y), max(rows - 2, 0))
        below, v = min(i + 1, rows - 1), y - i
        for column in range(total.shape[1]):
            if mask[row, column] == 0:
                continue
            x = min(max((column + 0.5) / step - 0.5, 0.0), columns - 1.0)
            j = min(int(x), max(columns - 2, 0))
            beside, u = min(j + 1, columns - 1), x - j
            a, b, c, d = (1 - v) * (1 - u), (1 - v) * u, v * (1 - u), v * u
            far = a * wide_depth[i, j] + b * wide_depth[i, beside]
            far = far + c * wide_depth[below, j] + d * wide_depth[below, beside]
            share = a * wide_mask[i, j] + b * wide_mask[i, beside]
            share = share + c * wide_mask[below, j] + d * wide_mask[below, beside]
            around = far / max(share, 1e-6)
            total[row, column] += 0.5 * min(max((depth[row, column] - around) / scale, 0.0), 1.0)


@njit(nogil=True, cache=True, fastmath=True)
def _paint(
    picture: Any, cover: Any, faces: Any, normals: Any, albedo: Any, shade: Any, axes: Any, wire: bool, opacity: float
) -> None:
    """Light the samples of each pixel, those of one triangle together, and blend them with the background.

    The fine grid has complete pixels: `covered` cuts it at multiples of `_OVERSAMPLING`.
    """
    owner, left, top, face, linear, inverse = cover
    samples = _OVERSAMPLING * _OVERSAMPLING
    for row in range(shade.shape[0]):
        for column in range(shade.shape[1]):
            y, x = row * _OVERSAMPLING, column * _OVERSAMPLING
            pixel = owner[y, x], owner[y, x + 1], owner[y + 1, x], owner[y + 1, x + 1]
            if pixel[0] & pixel[1] & pixel[2] & pixel[3] < 0:
                continue
            red, green, blue, seen = 0.0, 0.0, 0.0, 0
            for s in range(samples):
                t, (count, across, down) = pixel[s], _alike(pixel, s, wire)
                if t < 0 or count == 0:
                    continue
                a, b, c, _ = corner_weights(linear, inverse, t, x + across + left + 0.5, y + down + top + 0.5)
                i, j, k = faces[face[t], 0], faces[face[t], 1], faces[face[t], 2]
                light = _light(a, b, c, normals, i, j, k, axes)
                dim = 1 - 0.55 * shade[row, column]
                line = (0.45 if wire and min(a, b, c) < _WIRE else 1.0) * count
                red += line * _shown(dim * light[0] * (a * albedo[i, 0] + b * albedo[j, 0] + c * albedo[k, 0]))
                green += line * _shown(dim * light[1] * (a * albedo[i, 1] + b * albedo[j, 1] + c * albedo[k, 1]))
                blue += line * _shown(dim * light[2] * (a * albedo[i, 2] + b * albedo[j, 2] + c * albedo[k, 2]))
                seen += count
            y, x = row + top // _OVERSAMPLING, column + left // _OVERSAMPLING
            behind, scale = 1 - opacity * seen / samples, 255 * opacity / samples
            picture[y, x, 0] = np.uint8(min(behind * picture[y, x, 0] + scale * red + 0.5, 255.0))
            picture[y, x, 1] = np.uint8(min(behind * picture[y, x, 1] + scale * green + 0.5, 255.0))
            picture[y, x, 2] = np.uint8(min(behind * picture[y, x, 2] + scale * blue + 0.5, 255.0))


@njit(nogil=True, cache=True)
def _alike(pixel: Any, s: int, alone: bool) -> tuple[int, float, float]:
    """How many samples of a pixel show the triangle of sample `s`, and their mean position from the first sample.

    They are lit together with the first of them: the number is 0 for the others.
    """
    count, across, down = 0, 0.0, 0.0
    for other in range(len(pixel)):
        if other == s or (pixel[other] == pixel[s] and not alone):
            if other < s:
                return 0, 0.0, 0.0
            count, across, down = count + 1, across + other % _OVERSAMPLING, down + other // _OVERSAMPLING
    return count, across / count, down / count


@njit(nogil=True, cache=True, fastmath=True)
def _light(a: float, b: float, c: float, normals: Any, i: int, j: int, k: int, axes: Any) -> tuple[float, float, float]:
    """Red, green and blue light on a surface with an interpolated normal."""
    nx = a * normals[i, 0] + b * normals[j, 0] + c * normals[k, 0]
    ny = a * normals[i, 1] + b * normals[j, 1] + c * normals[k, 1]
    nz = a * normals[i, 2] + b * normals[j, 2] + c * normals[k, 2]
    scale = 1 / max(math.sqrt(nx * nx + ny * ny + nz * nz), 1e-12)
    nx, ny, nz = nx * scale, ny * scale, nz * scale
    right = nx * axes[0, 0] + ny * axes[0, 1] + nz * axes[0, 2]
    down = nx * axes[1, 0] + ny * axes[1, 1] + nz * axes[1, 2]
    towards = -(nx * axes[2, 0] + ny * axes[2, 1] + nz * axes[2, 2])
    upness = (nz + 1) / 2
    red = _FLOOR[0] + (_SKY[0] - _FLOOR[0]) * upness
    green = _FLOOR[1] + (_SKY[1] - _FLOOR[1]) * upness
    blue = _FLOOR[2] + (_SKY[2] - _FLOOR[2]) * upness
    for i in range(len(_WRAPS)):
        cosine = right * _WAYS[i, 0] + down * _WAYS[i, 1] + towards * _WAYS[i, 2]
        reach = (cosine + _WRAPS[i]) / (1 + _WRAPS[i])
        if reach > 0:
            strength = reach * math.sqrt(reach)
            red += strength * _HUES[i, 0]
            green += strength * _HUES[i, 1]
            blue += strength * _HUES[i, 2]
    return red, green, blue


@njit(nogil=True, cache=True, fastmath=True)
def _shown(linear: float) -> float:
    """Light as the screen shows it: bright parts are compressed, then gamma."""
    root = min(math.sqrt(linear / (1 + 0.18 * linear)), 1.0) * _STEPS
    step = int(root)
    return _GAMMA[step] + (root - step) * (_GAMMA[step + 1] - _GAMMA[step])
