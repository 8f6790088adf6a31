"""Errors as colours, and the bars that say which colour is how many millimetres."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray
from PIL import Image, ImageDraw, ImageFont

from vitruve.draw.framing import BAND, INK, PAPER, rgb

# From no error to the most. They darken steadily, so that they can be told apart in grey too.
_ANCHORS = np.array(
    [(0.86, 0.88, 0.90), (0.99, 0.86, 0.48), (0.96, 0.55, 0.24), (0.80, 0.20, 0.17), (0.42, 0.03, 0.20)]
)
UNKNOWN = (0.55, 0.57, 0.60)
"""The colour of unknown errors."""


def heat_colours(errors_mm: ArrayLike, top_mm: float) -> NDArray[np.float32]:
    """Colours [..., 3] from 0 to 1 of errors [...] in mm: pale at 0, dark red from `top_mm` on, grey for NaN."""
    errors = np.asarray(errors_mm, np.float32)
    at = (errors / max(top_mm, 1e-9)).clip(0, 1) * (len(_ANCHORS) - 1)
    steps = np.linspace(0, len(_ANCHORS) - 1, 256)
    table = np.stack([np.interp(steps, np.arange(len(_ANCHORS)), _ANCHORS[:, k]) for k in range(3)], -1)
    known = np.isfinite(at)
    colours = table[np.where(known, at * (255 / (len(_ANCHORS) - 1)) + 0.5, 0).astype(np.int64)]
    colours[~known] = UNKNOWN
    return colours.astype(np.float32)


def nice_top(errors_mm: ArrayLike, share: float = 0.99, least: float = 0.01) -> float:
    """A round number of millimetres above this share of the known errors: 1, 2 or 5 times a power of ten."""
    errors = np.asarray(errors_mm, np.float64)
    errors = errors[np.isfinite(errors)]
    most = float(np.quantile(errors, share)) if errors.size else 0.0
    return round_up(most) if most > least else least


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


def colour_strip(top_mm: float, length: int, thickness: int) -> Image.Image:
    """The colours of the scale, from left to right."""
    colours = (255 * heat_colours(np.linspace(0, top_mm, length), top_mm) + 0.5).astype(np.uint8)
    return Image.fromarray(np.repeat(colours[None], thickness, 0))


def heat_bar(top_mm: float, width: int, height: int = 56) -> Image.Image:
    """The scale with its numbers and the meaning of grey, to be put below a heat map."""
    image = Image.new("RGB", (width, height), BAND)
    draw, font = ImageDraw.Draw(image), ImageFont.load_default(min(max(14, width // 40), 22))
    unknown = font.getlength("no counterpart")
    left, right, top, bottom = 24, round(width - 100 - 1.15 * unknown), 8, 24
    image.paste(colour_strip(top_mm, right - left, bottom - top), (left, top))
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        text = f"{share * top_mm:g}" + (" mm" if share == 1 else "")
        draw.text((left + share * (right - left), bottom + 6), text, INK, font, anchor="ma")
    draw.rectangle((right + 40, top, right + 56, bottom), rgb(UNKNOWN))
    draw.text((right + 64, (top + bottom) / 2), "no counterpart", INK, font, anchor="lm")
    return image


def draw_colour_bar(image: Image.Image, top_mm: float) -> None:
    """Draw the scale with its millimetres at the right edge of a picture."""
    width, height = image.size
    tall, wide, font_size = round(0.4 * height), max(6, round(0.014 * height) + 4), max(10, round(0.022 * height))
    font = ImageFont.load_default(font_size)
    labels = [f"{top_mm * (1 - i / 4):g}" + (" mm" if i == 0 else "") for i in range(5)]
    gap, longest = 0.4 * font_size, max(font.getlength(label) for label in labels)
    # Room for the longest number, with a gap on both sides and the stroke around the letters.
    left, top = int(width - wide - max(3.6 * font_size, longest + 2 * gap + 2)), (height - tall) // 2
    image.paste(colour_strip(top_mm, tall, wide).transpose(Image.Transpose.ROTATE_90), (left, top))
    draw = ImageDraw.Draw(image)
    for i, label in enumerate(labels):
        y = top + (tall - 1) * i / 4
        draw.text((left + wide + gap, y), label, INK, font, "lm", stroke_width=2, stroke_fill=PAPER)
