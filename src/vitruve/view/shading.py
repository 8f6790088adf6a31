"""From triangles to a picture: soft studio light, a light background, a contact shadow on the ground."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter, map_coordinates

from vitruve.view.raster import Raster, rasterise
from vitruve.view.viewpoint import Viewpoint

Floats = NDArray[np.float64]

CLAY = (0.64, 0.72, 0.82)
"""The colour of a body that is given none: red, green, blue from 0 to 1."""

# Lights as seen by the viewer (right, down, towards the viewer), their colours, and how far they reach round the form.
_LIGHTS = (
    ((-0.55, -0.75, 0.75), (1.12, 1.07, 0.99), 0.20),  # key: from the upper left, warm
    ((0.90, -0.10, 0.55), (0.16, 0.20, 0.27), 0.50),  # fill: from the right, cool
    ((0.35, -0.60, -0.85), (0.46, 0.48, 0.52), 0.10),  # rim: from behind
)
_SKY, _FLOOR = np.array([0.22, 0.25, 0.29]), np.array([0.15, 0.135, 0.125])
_BACK_TOP, _BACK_BOTTOM = np.array([0.93, 0.937, 0.95]), np.array([0.88, 0.886, 0.896])
_SHADOW_CELL = 0.02  # metres
_OVERSAMPLING = 2
_WIRE = 0.04  # share of a triangle's height that its edge line takes


def render(
    vertices: ArrayLike,
    faces: ArrayLike,
    viewpoint: Viewpoint,
    size: tuple[int, int],
    colours: ArrayLike | None = None,
    ground: float | None = None,
    wire: bool = False,
) -> NDArray[np.uint8]:
    """Draw a mesh.

    Args:
        vertices: [vertices, 3] metres, z up.
        faces: [faces, 3] vertex indices, counter-clockwise seen from outside.
        viewpoint: where it is seen from.
        size: width and height in pixels.
        colours: [vertices, 3] or [3], red, green, blue from 0 to 1; clay where not given.
        ground: height of the ground that the shadow falls on, metres; None for no shadow.
        wire: draw the edges of the triangles.

    Returns:
        [height, width, 3] picture.
    """
    width, height = size
    vertices, faces = np.asarray(vertices, np.float64), np.asarray(faces, np.int64)
    fine = (width * _OVERSAMPLING, height * _OVERSAMPLING)
    raster = rasterise(vertices, faces, viewpoint, fine)
    image = np.repeat(np.repeat(background(vertices, viewpoint, size, ground), _OVERSAMPLING, 0), _OVERSAMPLING, 1)
    tint = np.broadcast_to(np.asarray(CLAY if colours is None else colours, np.float64), vertices.shape)
    image[raster.mask] = _lit(raster, vertices, faces, tint, viewpoint)
    if wire:
        image[raster.mask] *= 1 - 0.55 * (raster.weights[raster.mask].min(-1) < _WIRE)[:, None]
    image = image.reshape(height, _OVERSAMPLING, width, _OVERSAMPLING, 3).mean((1, 3))
    return (255 * image.clip(0, 1) + 0.5).astype(np.uint8)


def vertex_normals(vertices: Floats, faces: NDArray[np.int64]) -> Floats:
    """Unit normals [vertices, 3], the mean of the faces around each vertex weighted by area."""
    corners = vertices[faces]
    face_normals = np.cross(corners[:, 1] - corners[:, 0], corners[:, 2] - corners[:, 0])
    normals = np.stack(
        [np.bincount(faces.ravel(), np.repeat(face_normals[:, k], 3), len(vertices)) for k in range(3)], -1
    )
    return normals / np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)


def background(vertices: Floats, viewpoint: Viewpoint, size: tuple[int, int], ground: float | None) -> Floats:
    """The backdrop and the shadow on it, [height, width, 3].

    The backdrop is a function of the row alone, so that pictures can stand side by side.
    """
    width, height = size
    share = (np.arange(height) + 0.5) / height
    rows = _BACK_TOP + (_BACK_BOTTOM - _BACK_TOP) * share[:, None] ** 1.5
    image = np.repeat(rows[:, None], width, 1)
    if ground is None or not len(vertices):
        return image
    shadow, corner = _shadow_map(vertices, ground)
    rays = viewpoint.rays(size)
    falling = np.where(rays[..., 2] < -1e-6, rays[..., 2], np.nan)
    distance = (ground - viewpoint.position[2]) / falling
    on_ground = (np.asarray(viewpoint.position)[:2] + distance[..., None] * rays[..., :2] - corner) / _SHADOW_CELL
    on_ground = np.where((distance > 0)[..., None], on_ground, -1e6)
    # Fading out towards the edges, so that no seam is seen between neighbours.
    edge = (np.minimum(np.arange(width), np.arange(width)[::-1]) / (0.12 * width)).clip(0, 1)
    return image * (1 - edge * map_coordinates(shadow, on_ground.transpose(2, 0, 1), order=1))[..., None]


def _shadow_map(vertices: Floats, ground: float) -> tuple[Floats, Floats]:
    """How dark the ground is [cells x, cells y], and the position of the first cell.

    The nearer a vertex is to the ground, the darker and sharper its shadow.
    """
    reach = 0.8
    corner = vertices[:, :2].min(0) - reach
    cells = np.ceil((vertices[:, :2].max(0) + reach - corner) / _SHADOW_CELL).astype(int) + 1
    height = np.maximum(vertices[:, 2] - ground, 0)
    place = tuple(((vertices[:, :2] - corner) / _SHADOW_CELL).astype(int).T)
    shadow = np.zeros(cells)
    for fade, blur, strength in ((0.10, 0.025, 0.42), (0.9, 0.16, 0.34)):
        layer = np.zeros(cells)
        np.maximum.at(layer, place, np.exp(-height / fade))
        # Splatted vertices leave gaps; a small blur closes them, and the clip makes the inside even.
        layer = (2.5 * gaussian_filter(layer, 0.03 / _SHADOW_CELL)).clip(0, 1)
        shadow = 1 - (1 - shadow) * (1 - strength * gaussian_filter(layer, blur / _SHADOW_CELL))
    return shadow, corner


def _lit(raster: Raster, vertices: Floats, faces: NDArray[np.int64], colours: Floats, viewpoint: Viewpoint) -> Floats:
    """Colours of the pixels in the mask [pixels, 3]."""
    corners = faces[raster.face[raster.mask]]
    weights = raster.weights[raster.mask][..., None]
    normals = (weights * vertex_normals(vertices, faces)[corners]).sum(1)
    normals /= np.maximum(np.linalg.norm(normals, axis=-1, keepdims=True), 1e-12)
    right, down, forward = viewpoint.axes
    seen = normals @ np.stack([right, down, -forward], -1)
    upness = (normals[:, 2:] + 1) / 2
    light = _FLOOR + (_SKY - _FLOOR) * upness
    for towards, colour, wrap in _LIGHTS:
        cosine = seen @ (np.asarray(towards) / np.linalg.norm(towards))
        light = light + (((cosine + wrap) / (1 + wrap)).clip(0) ** 1.5)[:, None] * np.asarray(colour)
    albedo = (weights * colours[corners]).sum(1) ** 2.2
    linear = albedo * light * (1 - 0.55 * _creases(raster, viewpoint)[:, None])
    return (linear / (1 + 0.18 * linear)).clip(0) ** (1 / 2.2)


def _creases(raster: Raster, viewpoint: Viewpoint) -> Floats:
    """How deep each pixel of the mask lies below its surroundings, 0 to 1: darkens folds and what is behind an arm."""
    coarse_mask = raster.mask[::_OVERSAMPLING, ::_OVERSAMPLING].astype(np.float64)
    depth = np.where(raster.mask, raster.depth, 0)[::_OVERSAMPLING, ::_OVERSAMPLING]
    rows = raster.face.shape[0] / _OVERSAMPLING
    distance = np.linalg.norm(np.subtract(viewpoint.target, viewpoint.position))
    metre = rows / (2 * distance * np.tan(np.radians(viewpoint.fov_deg) / 2))
    total = np.zeros_like(depth)
    for radius, share in ((0.012, 0.012), (0.04, 0.03)):
        blur = min(radius * metre, share * rows)
        around = gaussian_filter(depth, blur) / np.maximum(gaussian_filter(coarse_mask, blur), 1e-6)
        total += ((depth - around) / (1.6 * blur / metre)).clip(0, 1) * 0.5
    fine = np.repeat(np.repeat(total, _OVERSAMPLING, 0), _OVERSAMPLING, 1)
    return fine[raster.mask]
