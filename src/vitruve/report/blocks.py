"""A page made of blocks: one HTML file that holds all it shows and needs neither network nor scripts, light or dark."""

from __future__ import annotations

import base64
import io
import math
import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Union

from PIL import Image


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
    """Rows of text or numbers under a header; columns of numbers stand on the right."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Figure:
    """A picture with a caption; the caption is also its text for readers who do not see it."""

    image: Image.Image
    caption: str


@dataclass(frozen=True)
class Drawing:
    """A plot as SVG, from `vitruve.report.plots`, with a caption. It is markup as it is, so never text of a file."""

    svg: str
    caption: str


@dataclass(frozen=True)
class Clip:
    """An mp4 video, as its bytes, with a caption; it is played by the browser's own controls."""

    data: bytes
    caption: str


@dataclass(frozen=True)
class Columns:
    """Blocks side by side where the page is wide enough, below each other where it is not."""

    blocks: Sequence[Block]


Block = Union[Heading, Note, Table, Figure, Drawing, Clip, "Columns"]

# What a cell must look like for its column to be one of numbers: "1,234", "-0.5 mm", "12 %", "-" for none.
_NUMBER = re.compile(r"[-+]?(\d[\d,]*\.?\d*|\.\d+)(e[-+]?\d+)?( ?[%a-zµ/]{1,8})?|[-–]?", re.IGNORECASE)

# A browser that reads this loads nothing from anywhere, whatever a block holds.
_POLICY = "default-src 'none'; img-src data:; media-src data:; style-src 'unsafe-inline'"

_STYLE = """
:root { color-scheme: light dark; --ink: #22262d; --soft: #5b6470; --page: #ffffff; --card: #f3f5f8; --line: #d9dee5;
  --good: #1b7f4b; --warning: #9a5b00; --series-1: #2f6fc4; --series-2: #d8741a; --series-3: #2b8a57;
  --series-4: #8b56ad; --series-5: #b83a4b; --series-6: #6b7280; }
@media screen and (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa5b3; --page: #14171b;
  --card: #1e2329; --line: #333b45; --good: #5fd39a; --warning: #f0b254; --series-1: #6ea8f7; --series-2: #f5a054;
  --series-3: #62c795; --series-4: #c295e3; --series-5: #f07f8d; --series-6: #a7b0bd; } }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; overflow-wrap: anywhere; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .5rem 0; max-width: 46rem; white-space: pre-line; overflow-wrap: anywhere; }
p.good, p.warning { border-left: 4px solid; padding-left: .8rem; }
p.good { border-color: var(--good); } p.warning { border-color: var(--warning); }
pre { background: var(--card); border-radius: 6px; padding: .7rem .9rem; font-size: .85rem; white-space: pre-wrap;
  overflow-wrap: anywhere; }
figure { margin: 1rem 0; } figure div { overflow-x: auto; }
img, video { display: block; max-width: 100%; height: auto; border-radius: 8px; }
svg.plot { display: block; width: 100%; max-width: 56rem; height: auto; }
svg.narrow { max-width: 30rem; } @media (min-width: 40rem) { svg.narrow { display: none; } }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; max-width: 46rem; }
.columns { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(100%, 20rem), 1fr)); gap: 0 1.5rem; }
.columns > div { min-width: 0; } .columns h2 { margin-top: 1rem; }
.columns svg.plot { max-width: 34rem; }
.table { overflow-x: auto; margin: .5rem 0; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1.4rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th.n, td.n { text-align: right; white-space: nowrap; }
th { color: var(--soft); font-weight: 600; }
@media (max-width: 39.99rem) { svg.wide { display: none; } th, td { padding-right: .9rem; }
  th:not(.n), td:not(.n) { overflow-wrap: anywhere; min-width: 5.2rem; } }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@page { margin: 15mm 12mm; }
@media print { :root { color-scheme: light; } body { max-width: none; padding: 0; font-size: 11pt; }
  figure, tr, p, pre, svg { break-inside: avoid; } h2 { break-after: avoid; } thead { display: table-header-group; }
  figure div, .table { overflow: visible; } img, video { max-height: 15.5cm; width: auto; } }
"""


def page(title: str, blocks: Sequence[Block], footer: str = "") -> str:
    """The whole page as text.

    Args:
        title: stands on top and in the browser's tab.
        blocks: what follows, from top to bottom.
        footer: a last line in small print.
    """
    body = "\n".join(_html(block) for block in blocks)
    end = f"\n<footer>{escape(footer)}</footer>" if footer else ""
    return (
        '<!DOCTYPE html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{_POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{escape(title)}</title>\n<style>{_STYLE}</style>\n</head>\n<body>\n<main>\n"
        f"<h1>{escape(title)}</h1>\n{body}\n</main>{end}\n</body>\n</html>\n"
    )


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
            uri = _data_uri("image/png", _png(image))
            size = f'width="{image.width}" height="{image.height}"'
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
    columns = [[line[i] for line in rows if i < len(line)] for i in range(len(header))]
    right = [any(column) and all(_NUMBER.fullmatch(cell) for cell in column) for column in columns]
    right += [False] * max((len(line) - len(header) for line in rows), default=0)
    top = "".join(
        f'<th scope="col"{_class(is_number)}>{escape(str(cell))}</th>' for cell, is_number in zip(header, right)
    )
    lines = (
        "".join(f"<td{_class(is_number)}>{escape(cell)}</td>" for cell, is_number in zip(line, right)) for line in rows
    )
    inside = "\n".join(f"<tr>{line}</tr>" for line in lines)
    table = f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{inside}\n</tbody>\n</table>"
    return f'<div class="table">{table}</div>'


def _class(is_number: bool) -> str:
    return ' class="n"' if is_number else ""


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


def _png(image: Image.Image) -> bytes:
    buffer = io.BytesIO()
    # Level 6 takes half as long again, for 2 % of the size.
    image.save(buffer, "PNG", compress_level=4)
    return buffer.getvalue()


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64," + base64.b64encode(data).decode("ascii")
