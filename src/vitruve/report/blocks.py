"""A page made of blocks: one HTML file without scripts or network access, light or dark."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Union

from PIL import Image

import vitruve


@dataclass(frozen=True)
class Heading:
    """A section's title."""

    text: str


@dataclass(frozen=True)
class Note:
    """A paragraph; kind is "plain", "good", "warning" or "code"."""

    text: str
    kind: str = "plain"


@dataclass(frozen=True)
class Table:
    """Rows of text or numbers under a header; columns of numbers align right."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Figure:
    """A picture with a caption, which is also its alternative text."""

    image: Image.Image
    caption: str


@dataclass(frozen=True)
class Drawing:
    """A plot as SVG, from `vitruve.report.plots`, with a caption. The SVG is not escaped: put no text of a file in."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Clip:
    """The bytes of an mp4 video with a caption."""

    data: bytes
    caption: str


@dataclass(frozen=True)
class Columns:
    """Blocks side by side; below each other on a narrow page."""

    blocks: Sequence[Block]


Block = Union[Heading, Note, Table, Figure, Drawing, Clip, "Columns"]

# A cell of a column of numbers: "1,234", "-0.5 mm", "12 %", "-" for none.
_NUMBER = re.compile(r"[-+]?(\d[\d,]*\.?\d*|\.\d+)(e[-+]?\d+)?( ?[%a-zµ/]{1,8})?|[-–]?", re.IGNORECASE)

# Keeps the browser from loading anything, whatever a block holds.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"

_STYLE = Path(__file__).with_name("page.css").read_text(encoding="utf-8")


def page(title: str, blocks: Sequence[Block], footer: str = "") -> str:
    """The page as HTML.

    Args:
        title: also shown in the browser's tab.
        blocks: from top to bottom.
        footer: a last line in small print.
    """
    body = "\n".join(_html(block) for block in blocks)
    end = f"\n<footer>{escape(footer)}</footer>" if footer else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>\n{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</main>{end}\n</body>\n</html>\n"
    )


def made_by(command: str) -> str:
    """The footer of the page of a command, such as "compare"."""
    return f"Made by vitruve {vitruve.__version__}: vitruve {command}"


def _html(block: Block) -> str:
    match block:
        case Heading(text):
            return f"<h2>{escape(text)}</h2>"
        case Note(text, "code"):
            return f"<pre>{escape(text)}</pre>"
        case Note(text, kind):
            return f'<p class="{escape(kind)}">{escape(text)}</p>'
        case Table(header, rows):
            return _table(header, [[_cell(cell) for cell in line] for line in rows])
        case Figure(image, caption):
            buffer = io.BytesIO()
            image.save(buffer, "PNG", compress_level=4)  # level 6 takes half as long again, for 2 % of the size
            size = f'width="{image.width}" height="{image.height}"'
            uri = _data_uri("image/png", buffer.getvalue())
            return _figure(f'<img src="{uri}" {size} alt="{escape(caption)}">', caption)
        case Drawing(svg, caption):
            return _figure(svg, caption)
        case Clip(data, caption):
            uri = _data_uri("video/mp4", data)
            return _figure(f'<video src="{uri}" controls muted loop aria-label="{escape(caption)}"></video>', caption)
        case Columns(inner):
            cells = "\n".join(f"<div>{_html(part)}</div>" for part in inner)
            return f'<div class="columns">\n{cells}\n</div>'


def _figure(inside: str, caption: str) -> str:
    return f"<figure><div>{inside}</div><figcaption>{escape(caption)}</figcaption></figure>"


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    columns = [[row[i] for row in rows if i < len(row)] for i in range(len(header))]
    numeric = [bool(column) and all(map(_NUMBER.fullmatch, column)) for column in columns]
    numeric += [False] * max((len(row) - len(header) for row in rows), default=0)
    classes = [' class="n"' if is_numeric else "" for is_numeric in numeric]
    top = "".join(f'<th scope="col"{kind}>{escape(str(cell))}</th>' for cell, kind in zip(header, classes))
    lines = ("".join(f"<td{kind}>{escape(cell)}</td>" for cell, kind in zip(row, classes)) for row in rows)
    body = "\n".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>"
    return f'<div class="table">{table}</div>'


def _cell(value: object) -> str:
    """A cell as text: four digits of a float, a dash for None and NaN."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value is None or (isinstance(value, float) and math.isnan(value)):
        return "-"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:,.0f}" if 1000 <= abs(value) < 1e15 else f"{value:.4g}"
    return str(value)


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(data).decode("ascii")
