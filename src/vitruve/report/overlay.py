"""Two bodies in one frame: each alone, and both in one place."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vitruve.draw.framing import direction, fit_camera
from vitruve.draw.pictures import PAGE_LABEL, each_and_both, row
from vitruve.draw.scene import COLOURS, Actor, limbs_facing_deg
from vitruve.motion.performer import Performer

CELL = (300, 420)
"""Width and height of each picture in pixels."""

Mesh = tuple[NDArray[np.float64], NDArray[np.int64]]
"""Vertices [vertices, 3] and faces [faces, 3]."""


def overlay_row(meshes: Sequence[Mesh], view: tuple[float, float, float], labels: Sequence[str]) -> Image.Image:
    """The first (blue), the second (orange), and both in one place, with a label below each.

    Args:
        meshes: of both.
        view: direction from the bodies to the camera.
        labels: three texts.
    """
    points = np.concatenate([vertices for vertices, _ in meshes])
    camera = fit_camera(points[np.isfinite(points).all(1)], view, CELL)
    return row(each_and_both(meshes, COLOURS, camera, CELL), labels, PAGE_LABEL)


def view_of_face(performer: Performer, frame: int) -> tuple[float, float, float]:
    """The direction to a camera that looks the body in the face, a little from its left."""
    return direction(limbs_facing_deg(Actor(performer), [frame]) + 30.0)
