"""The page holds everything itself, is well formed, and lets no text become markup."""

import base64
import io
import re
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from tests.browser import browser_page
from vitruve.report.blocks import Clip, Columns, Drawing, Figure, Heading, Note, Table, page
from vitruve.report.plots import bars, line_plot

VOID = {"meta", "img", "br", "link", "hr"}


class Checker(HTMLParser):
    """Fails on tags that do not match; collects texts, tags and attributes."""

    def __init__(self, html):
        super().__init__()
        self.open, self.tags, self.attributes, self.texts = [], [], [], []
        self.feed(html)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.tags.append(tag)
        self.attributes += [(tag, key, value) for key, value in attrs]
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.texts.append(data)


def blocks(text="text"):
    return [
        Heading(text),
        Note(text),
        Note(text, "warning"),
        Note(text, "code"),
        Table([text, "b"], [[text, 1.5], ["x", None]]),
        Figure(Image.new("RGB", (5, 4), "red"), text),
        Drawing(line_plot({text: ([0, 1], [1, 2]), "b": ([0, 1], [2, 1])}, text, text), text),
        Columns([Note(text), Clip(b"video", text)]),
    ]


def test_well_formed_and_complete():
    checked = Checker(page("Title", blocks(), footer="end"))
    once = ("html", "h1", "h2", "table", "img", "pre", "footer", "video")
    assert [checked.tags.count(tag) for tag in once] == [1] * len(once) and checked.tags.count("svg") == 2
    assert checked.tags.count("tr") == 3 and checked.tags.count("td") == 4


def test_needs_nothing_from_outside():
    html = page("Title", [*blocks(), Note("see https://example.org")])
    checked = Checker(html)
    assert "script" not in checked.tags and "link" not in checked.tags and "iframe" not in checked.tags
    sources = [value for _, key, value in checked.attributes if key in ("src", "href", "srcset", "data")]
    assert sources and all(re.match("data:(image/png|video/mp4);base64,", value) for value in sources)
    policy = next(value for _, key, value in checked.attributes if key == "content" and "default-src" in value)
    assert "default-src 'none'" in policy and "http" not in policy
    assert not re.search(r"url\(|@import", html)


def test_pictures_are_inside_unharmed():
    image = Image.effect_noise((9, 7), 50).convert("RGB")
    source = next(v for _, k, v in Checker(page("t", [Figure(image, "c")])).attributes if k == "src")
    with Image.open(io.BytesIO(base64.b64decode(source.split(",")[1]))) as again:
        assert again.convert("RGB").tobytes() == image.tobytes()


def test_pictures_have_a_text_and_a_size():
    attributes = {
        k: v
        for tag, k, v in Checker(page("t", [Figure(Image.new("RGB", (5, 4)), "a walk")])).attributes
        if tag == "img"
    }
    assert attributes["alt"] == "a walk" and (attributes["width"], attributes["height"]) == ("5", "4")


@given(st.text(st.characters(blacklist_categories=("Cs", "Cc")), min_size=1).map(lambda t: t + "<script>\"'&</p>"))
def test_no_text_becomes_markup(text):
    checked, plain = Checker(page(text, blocks(text), text)), Checker(page("t", blocks(), "t"))
    assert checked.tags == plain.tags
    assert [(tag, key) for tag, key, _ in checked.attributes] == [(tag, key) for tag, key, _ in plain.attributes]
    assert checked.texts.count(text) >= 10  # title twice, heading, four notes, two cells, captions, footer


def test_reads_light_and_dark_and_prints():
    html = page("t", [])
    assert "prefers-color-scheme: dark" in html and "@media print" in html and "color-scheme: light dark" in html


def test_columns_of_numbers_stand_on_the_right():
    rows = [("a.npz", 1234, "0.62 mm", "-"), ("b", 5, 1.5, "bad"), ("12", None, "-", "")]
    checked = Checker(page("t", [Table(("file", "frames", "error", "state"), rows)]))
    right = [value == "n" for tag, key, value in checked.attributes if (tag, key) == ("th", "class")]
    assert right == [True, True]  # frames and error; a single word makes a column one of text
    assert checked.texts.count("1,234") == 1 and checked.tags.count("td") == 12


@pytest.mark.parametrize(
    ("value", "shown"),
    [(None, "-"), (float("nan"), "-"), (True, "yes"), (12345, "12,345"), (0.123456, "0.1235"), (12345.6, "12,346")],
)
def test_cells_are_short(value, shown):
    assert shown in Checker(page("t", [Table(("x",), [(value,)])])).texts


def test_videos_are_inside_unharmed():
    data = bytes(range(256))
    source = next(v for tag, k, v in Checker(page("t", [Clip(data, "c")])).attributes if (tag, k) == ("video", "src"))
    assert base64.b64decode(source.split(",")[1]) == data


@pytest.mark.parametrize(("width", "paper"), [(390, "screen"), (700, "screen"), (1400, "screen"), (703, "print")])
def test_letters_of_plots_are_as_large_as_a_reader_needs(width, paper, tmp_path):
    plots = (line_plot({"a": ([0, 1], [1, 2])}, "frame", "error, mm"), bars({"left_shoulder": 12.0}, "mm"))
    half = bars({"left_shoulder": 12.0}, "mm", across=400)
    file = tmp_path / "page.html"
    file.write_text(page("t", [*(Drawing(plot, "c") for plot in plots), Columns([Drawing(half, "d"), Note("n")])]))
    with browser_page(width, 800) as tab:
        tab.emulate_media(media=paper)
        tab.goto(file.as_uri())
        shown = tab.locator("svg.plot:visible").evaluate_all(
            "all => all.map(it => [12 * it.clientWidth / it.viewBox.baseVal.width, it.clientWidth])"
        )
        wide = tab.evaluate("document.documentElement.scrollWidth")
    assert len(shown) == 3 and wide <= width
    assert shown == [one for one in shown if 9.5 <= one[0] <= 18 and one[1] <= width]
