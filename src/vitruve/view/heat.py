"""Errors as colours: one scale for pictures, video, the viewer and pages."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

Floats = NDArray[np.float64]

# From no error to the top of the scale: pale blue over yellow and orange to dark red; grey where nothing is known.
_STOPS = np.array(
    [(0.80, 0.87, 0.93), (0.97, 0.93, 0.68), (0.98, 0.72, 0.35), (0.88, 0.34, 0.22), (0.50, 0.05, 0.15)], np.float64
)
UNKNOWN = (0.62, 0.62, 0.65)
"""The colour where no error is known."""
_INK = (60, 66, 76)


def heat_colours(errors_mm: ArrayLike, top_mm: float) -> Floats:
    """Colours [..., 3], red, green, blue from 0 to 1, of errors in millimetres; NaN is grey, more than the top dark."""
    errors = np.asarray(errors_mm, np.float64)
    at = (np.nan_to_num(errors) / max(top_mm, 1e-9)).clip(0, 1) * (len(_STOPS) - 1)
    colours = np.stack([np.interp(at, np.arange(len(_STOPS)), _STOPS[:, k]) for k in range(3)], -1)
    return np.where(np.isfinite(errors)[..., None], colours, UNKNOWN)


def heat_gradient() -> str:
    """The scale as a CSS gradient, from left to right."""
    colours = ("#" + bytes((255 * stop + 0.5).astype(np.uint8)).hex() for stop in _STOPS)
    return "linear-gradient(90deg," + ",".join(colours) + ")"


def heat_bar(top_mm: float, width: int, height: int = 56) -> Image.Image:
    """The scale as a picture, with its numbers and what grey means, to be put below a heat map."""
    image = Image.new("RGB", (width, height), (236, 238, 242))
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(14)
    left, right, top, bottom = 24, width - 230, 10, 26
    for x in range(left, right):
        colour = heat_colours((x - left) / (right - 1 - left) * top_mm, top_mm)
        draw.line((x, top, x, bottom), tuple((255 * colour + 0.5).astype(int).tolist()))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        x = left + share * (right - left)
        draw.text((x, bottom + 6), f"{share * top_mm:g}{' mm' if share == 1 else ''}", _INK, font, anchor="ma")
    grey = tuple(round(255 * value) for value in UNKNOWN)
    draw.rectangle((right + 40, top, right + 56, bottom), grey)
    draw.text((right + 64, (top + bottom) / 2), "no counterpart", _INK, font, anchor="lm")
    return image


def round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten: a readable top of a scale."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if value <= step * power * (1 + 1e-9))
