"""Errors as colours, and the bar that says which colour is how many millimetres."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

# From no error to the most; they grow darker all the way, so that they can be told apart in grey too.
_ANCHORS = np.array(
    [(0.86, 0.88, 0.90), (0.99, 0.86, 0.48), (0.96, 0.55, 0.24), (0.80, 0.20, 0.17), (0.42, 0.03, 0.20)]
)
UNKNOWN = (0.55, 0.57, 0.60)
"""The colour where no error is known."""
_INK, _PAPER, _BAND = (60, 66, 76), (255, 255, 255), (236, 238, 242)


def heat_colours(errors_mm: ArrayLike, top_mm: float) -> NDArray[np.float32]:
    """Colours [..., 3] from 0 to 1 of errors [...] in millimetres: pale at none, dark red from `top_mm` on.

    Where the error is not known (NaN) it is grey.
    """
    errors = np.asarray(errors_mm, np.float32)
    at = (errors / max(top_mm, 1e-9)).clip(0, 1) * (len(_ANCHORS) - 1)
    steps = np.linspace(0, len(_ANCHORS) - 1, 256)
    table = np.stack([np.interp(steps, np.arange(len(_ANCHORS)), _ANCHORS[:, k]) for k in range(3)], -1)
    known = np.isfinite(at)
    colours = table[np.where(known, at * (255 / (len(_ANCHORS) - 1)) + 0.5, 0).astype(np.int64)]
    colours[~known] = UNKNOWN
    return colours.astype(np.float32)


def nice_top(errors_mm: ArrayLike) -> float:
    """A round number of millimetres that 99 of 100 known errors lie below: 1, 2 or 5 times a power of ten."""
    errors = np.asarray(errors_mm, np.float64)
    errors = errors[np.isfinite(errors)]
    most = float(np.quantile(errors, 0.99)) if errors.size else 0.0
    if most <= 0.01:
        return 0.01
    return round_up(most)


def round_up(value: float) -> float:
    """The next 1, 2 or 5 times a power of ten: a readable top of a scale."""
    if not value > 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1.0, 2.0, 5.0, 10.0) if step * power >= value * (1 - 1e-9))


def heat_gradient() -> str:
    """The scale as a CSS gradient, from left to right."""
    colours = ("#" + bytes((255 * stop + 0.5).astype(np.uint8)).hex() for stop in _ANCHORS)
    return "linear-gradient(90deg," + ",".join(colours) + ")"


def heat_bar(top_mm: float, width: int, height: int = 56) -> Image.Image:
    """The scale as a picture, with its numbers and what grey means, to be put below a heat map."""
    image = Image.new("RGB", (width, height), _BAND)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(min(max(14, width // 40), 22))
    unknown = font.getlength("no counterpart")
    left, right, top, bottom = 24, round(width - 100 - 1.15 * unknown), 8, 24
    values = np.linspace(0, top_mm, right - left)
    strip = np.repeat((255 * heat_colours(values, top_mm) + 0.5).astype(np.uint8)[None], bottom - top, 0)
    image.paste(Image.fromarray(strip), (left, top))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        words = f"{share * top_mm:g}" + (" mm" if share == 1 else "")
        draw.text((left + share * (right - left), bottom + 6), words, _INK, font, anchor="ma")
    draw.rectangle((right + 40, top, right + 56, bottom), tuple(round(255 * value) for value in UNKNOWN))
    draw.text((right + 64, (top + bottom) / 2), "no counterpart", _INK, font, anchor="lm")
    return image


def draw_colour_bar(image: Image.Image, top_mm: float) -> None:
    """Draw the bar with its millimetres at the right edge of a picture."""
    width, height = image.size
    tall, wide, font_size = round(0.4 * height), max(6, round(0.014 * height) + 4), max(10, round(0.022 * height))
    font = ImageFont.load_default(font_size)
    words = [f"{top_mm * (1 - i / 4):g}" + (" mm" if i == 0 else "") for i in range(5)]
    gap, longest = 0.4 * font_size, max(font.getlength(text) for text in words)
    # Room for the longest of the numbers, with a gap on both sides and the stroke around the letters.
    left, top = int(width - wide - max(3.6 * font_size, longest + 2 * gap + 2)), (height - tall) // 2
    values = np.linspace(top_mm, 0, tall)
    strip = np.repeat((255 * heat_colours(values, top_mm)).astype(np.uint8)[:, None], wide, 1)
    image.paste(Image.fromarray(strip), (left, top))
    draw = ImageDraw.Draw(image)
    for i, text in enumerate(words):
        y = top + (tall - 1) * i / 4
        draw.text((left + wide + gap, y), text, _INK, font, "lm", stroke_width=2, stroke_fill=_PAPER)
