"""The gallery's pictures are there, of modest size, and shown by the page."""

import re
from pathlib import Path

from PIL import Image

DOCS = Path(__file__).parents[2] / "docs"


def test_page_and_pictures_agree():
    shown = set(re.findall(r"\]\(pictures/([^)]+)\)", (DOCS / "gallery.md").read_text()))
    there = {path.name for path in (DOCS / "pictures").glob("*.png")}
    assert shown | {"hero.png"} == there


def test_pictures_are_modest_and_whole():
    sizes = []
    for path in (DOCS / "pictures").glob("*.png"):
        sizes.append(path.stat().st_size)
        with Image.open(path) as image:
            image.verify()
            assert image.width <= 1700
        assert sizes[-1] < 250_000, path.name
    assert sum(sizes) < 3_000_000
