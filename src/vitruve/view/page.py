"""A page made of blocks: one HTML file that holds its pictures and needs neither network nor scripts, light or dark."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

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
    """Rows of text or numbers under a header."""

    header: Sequence[str]
    rows: Sequence[Sequence[object]]


@dataclass(frozen=True)
class Figure:
    """A picture with a caption; the caption is also its text for readers who do not see it."""

    image: Image.Image
    caption: str


Block = Heading | Note | Table | Figure

_STYLE = """
:root { color-scheme: light dark; --ink: #22262d; --soft: #5b6470; --page: #ffffff; --card: #f3f5f8; --line: #d9dee5;
  --good: #1b7f4b; --warning: #9a5b00; }
@media (prefers-color-scheme: dark) { :root { --ink: #e4e8ee; --soft: #9aa5b3; --page: #14171b; --card: #1e2329;
  --line: #333b45; --good: #5fd39a; --warning: #f0b254; } }
body { margin: 0 auto; max-width: 64rem; padding: 2rem 1.25rem 4rem; background: var(--page); color: var(--ink);
  font: 16px/1.55 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; }
h1 { font-size: 1.7rem; line-height: 1.2; margin: 0 0 1rem; }
h2 { font-size: 1.15rem; margin: 2.2rem 0 .6rem; }
p { margin: .5rem 0; max-width: 46rem; white-space: pre-line; }
p.good, p.warning { border-left: 4px solid; padding-left: .8rem; }
p.good { border-color: var(--good); } p.warning { border-color: var(--warning); }
pre { background: var(--card); border-radius: 6px; padding: .7rem .9rem; overflow-x: auto; font-size: .9rem; }
figure { margin: 1rem 0; } figure div { overflow-x: auto; }
img { display: block; max-width: 100%; height: auto; border-radius: 8px; }
figcaption { color: var(--soft); font-size: .9rem; margin-top: .4rem; }
.table { overflow-x: auto; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { text-align: left; padding: .3rem 1.4rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { color: var(--soft); font-weight: 600; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media print { body { max-width: none; padding: 0; background: #fff; color: #000; }
  figure, tr { break-inside: avoid; } }
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
            top = "".join(f'<th scope="col">{escape(str(cell))}</th>' for cell in header)
            lines = ("".join(f"<td>{escape(str(cell))}</td>" for cell in line) for line in rows)
            inside = "\n".join(f"<tr>{line}</tr>" for line in lines)
            table = f"<table>\n<thead><tr>{top}</tr></thead>\n<tbody>\n{inside}\n</tbody>\n</table>"
            return f'<div class="table">{table}</div>'
        case Figure(image, caption):
            return (
                f'<figure><div><img src="{_data_uri(image)}" width="{image.width}" height="{image.height}" '
                f'alt="{escape(caption)}"></div><figcaption>{escape(caption)}</figcaption></figure>'
            )


def _data_uri(image: Image.Image) -> str:
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(buffer.getvalue()).decode("ascii")
