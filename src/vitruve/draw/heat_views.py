"""A surface from the front and the back, coloured by an error at every vertex, with the scale below."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from numpy.typing import ArrayLike, NDArray
from PIL import Image

from vitruve.draw.framing import Floats, direction, fit_camera
from vitruve.draw.heat import heat_bar, heat_colours, nice_top
from vitruve.draw.pictures import PAGE_LABEL, picture, row, stack
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.motion.performer import Performer

_CELL = (440, 460)
# Arms lowered, so that a body at rest is narrow and its armpits are seen: degrees about z.
_ARMS = {"left_shoulder": -60.0, "right_shoulder": 60.0}


def heat_views(vertices: ArrayLike, faces: ArrayLike, errors_mm: ArrayLike, top_mm: float | None = None) -> Image.Image:
    """One picture: the front, the back, and the scale.

    Args:
        vertices: [vertices, 3] metres, z up, facing -y as a body from `at_rest`.
        faces: [faces, 3] vertex indices.
        errors_mm: [vertices] millimetres, NaN where unknown.
        top_mm: the error with the darkest colour; if None, a round number above 98 % of the errors.
    """
    points, errors = np.asarray(vertices, np.float64), np.asarray(errors_mm, np.float64)
    if top_mm is None:
        top_mm = nice_top(errors, 0.98, least=0.0) or 1.0
    colours = heat_colours(errors, top_mm)
    cells = [
        picture(points, faces, fit_camera(points, direction(angle, 4.0), _CELL), _CELL, colours)
        for angle in (0.0, 180.0)
    ]
    views = row(cells, ("front", "back"), PAGE_LABEL)
    return stack([views, heat_bar(top_mm, views.width)])


def vertex_means(blocks: Iterable[NDArray[Any]]) -> Floats:
    """The mean of each vertex over blocks [frames, vertices], ignoring NaN; NaN where nothing is known."""
    total, count = np.zeros(()), np.zeros(())
    for block in blocks:
        total = total + np.nansum(block, 0)
        count = count + np.isfinite(block).sum(0)
    return np.where(count > 0, total / np.maximum(count, 1), np.nan)


def at_rest(performer: Performer) -> Floats:
    """Vertices of the body with its shape, standing on the ground of the z-up world, arms lowered, facing -y.

    Meshes: the first frame with data, moved over the origin; its pose and heading stay.
    """
    motion, body = performer.motion, performer.body
    if motion is None or body is None:
        vertices = performer.vertices(performer.valid_frames()[:1].tolist())[0].double().cpu().numpy()
        middle = (np.nanmin(vertices, 0) + np.nanmax(vertices, 0)) / 2
        return vertices - (middle[0], middle[1], np.nanmin(vertices[:, 2]))
    rotations = body.rest_rotations()
    for name, degrees in {body.skeleton.names[0]: 0.0, **_ARMS}.items():
        if name in body.skeleton.names:
            axis = (0.0, 0.0, degrees) if degrees else (90.0, 0.0, 0.0)
            turn = torch.deg2rad(torch.tensor(axis)).to(rotations)
            rotations[body.skeleton.index(name)] = axis_angle_to_matrix(turn)
    vertices = body.shaped(motion.betas).vertices(rotations).cpu().numpy()
    return vertices - (0.0, 0.0, vertices[:, 2].min())
