"""A surface front and back with an error at every vertex as its colour, and the scale below."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike
from PIL import Image

from vitruve.draw.heat import heat_bar, heat_colours, round_up
from vitruve.draw.pictures import PAGE_LABEL, picture, row
from vitruve.draw.viewpoint import direction, fit_viewpoint

_CELL = (440, 460)


def heat_views(vertices: ArrayLike, faces: ArrayLike, errors_mm: ArrayLike, top_mm: float | None = None) -> Image.Image:
    """One picture: the front, the back, and the scale.

    Args:
        vertices: [vertices, 3] metres, z up, facing -y as a body at rest that was stood up.
        faces: [faces, 3] vertex indices.
        errors_mm: [vertices] millimetres, NaN where unknown.
        top_mm: the error of the darkest colour; above 98 % of the vertices, a round number, where not given.
    """
    points, errors = np.asarray(vertices, np.float64), np.asarray(errors_mm, np.float64)
    known = errors[np.isfinite(errors)]
    if top_mm is None:
        top_mm = round_up(float(np.quantile(known, 0.98))) if len(known) else 1.0
    colours = heat_colours(errors, top_mm)
    cells = [
        picture(points, faces, fit_viewpoint(points, direction(angle, 4.0), _CELL), _CELL, colours)
        for angle in (0.0, 180.0)
    ]
    views = row(cells, ("front", "back"), PAGE_LABEL)
    scale = heat_bar(top_mm, views.width)
    out = Image.new("RGB", (views.width, views.height + scale.height), (236, 238, 242))
    out.paste(views, (0, 0))
    out.paste(scale, (0, views.height))
    return out
