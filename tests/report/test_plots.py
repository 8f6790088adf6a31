"""Plots are small, whole and well formed, stand where the numbers are, and draw no line where there is no data."""

import functools
import math
import re

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.report.test_blocks import Checker
from vitruve.errors import UsageError
from vitruve.report import plots

# One drawing, as it is in a file of its own; a page gets two.
line_plot, histogram, bars = (
    functools.partial(plot, across=720) for plot in (plots.line_plot, plots.histogram, plots.bars)
)
any_float = st.floats(allow_nan=True, allow_infinity=True, width=32)
texts = st.text(st.characters(blacklist_categories=("Cs", "Cc")), max_size=60).map(lambda text: text + "<b>\"'&</text>")


def paths(svg, series=1):
    """The lines of a curve as lists of points."""
    found = re.findall(rf'<path d="([^"]*)" fill="none" stroke-width="1.6"[^>]*--series-{series},', svg)
    pieces = "".join(found).split("M")[1:]
    return [[tuple(map(float, point.split())) for point in piece.split("L")] for piece in pieces]


def texts_of(svg):
    return Checker(svg).texts


def test_a_curve_stands_where_its_numbers_are():
    (points,) = paths(line_plot({"a": ([0, 1, 2, 4], [0.0, 10.0, 5.0, 20.0])}, "s", "mm"))
    x, y = np.array(points).T
    assert np.allclose((x - x[0]) / (x[-1] - x[0]) * 4, [0, 1, 2, 4], atol=0.01)
    assert np.allclose((y - y[0]) / (y[-1] - y[0]) * 20, [0, 10, 5, 20], atol=0.1) and y[-1] < y[0]


def test_log_is_linear_in_the_exponent():
    (points,) = paths(line_plot({"a": (range(5), [10.0**-i for i in range(5)])}, "step", "loss", log=True))
    steps = np.diff([y for _, y in points])
    assert np.allclose(steps, steps[0], atol=0.11) and steps[0] > 0


def test_a_short_range_on_a_log_axis_has_round_numbers():
    shown = texts_of(line_plot({"a": ([0, 1, 2], [6.31, 6.2, 6.13])}, "min", "loss", log=True))
    assert shown[2:4] == ["6", "7"] and shown[4] == "0"  # behind two lines that say what it is; then the other axis


def test_the_axis_can_be_made_to_begin_at_zero():
    y = [9.0, 10.0]
    shown = {zero: texts_of(line_plot({"a": ([0, 1], y)}, "s", "mm", from_zero=zero)) for zero in (False, True)}
    assert "5" not in shown[False] and "5" in shown[True]


def test_gaps_stay_gaps_and_are_counted():
    y = [1.0, 2.0, math.nan, 3.0, 4.0, math.inf, 5.0, math.nan]
    svg = line_plot({"a": (range(8), y)}, "frame", "mm")
    assert [len(piece) for piece in paths(svg)] == [2, 2]
    assert len(re.findall("h0", svg)) == 1  # the point between two gaps is a dot
    assert "a (3 without data)" in texts_of(svg)


def test_a_long_curve_stays_small_and_keeps_its_peaks_and_gaps():
    rng = np.random.default_rng(1)
    y = rng.random(20_000)
    y[7_777], y[10_000:12_000] = 9.0, np.nan
    svg = line_plot({"a": (range(20_000), y), "b": (range(20_000), 1 - y)}, "frame", "mm")
    assert len(svg) < 60_000
    pieces = paths(svg)
    top = min(pieces[0] + pieces[1], key=lambda point: point[1])
    start, end = pieces[0][0][0], pieces[-1][-1][0]
    assert len(pieces) == 2 and abs((top[0] - start) / (end - start) - 7_777 / 19_999) < 0.002


@settings(max_examples=40)
@given(st.integers(1, 9), st.integers(0, 2**32 - 1), st.floats(0, 1))
def test_many_long_curves_stay_small(number, seed, share):
    rng = np.random.default_rng(seed)
    curves = {}
    for i in range(number):
        y = rng.normal(size=5_000)
        y[rng.random(5_000) < share] = np.nan
        curves[str(i)] = (rng.permutation(5_000), y)
    assert len(line_plot(curves, "x", "y")) < 60_000


@given(
    st.dictionaries(texts, st.lists(st.tuples(any_float, any_float), max_size=6), max_size=8),
    texts,
    st.booleans(),
    st.dictionaries(texts, st.floats(-1e6, 1e6), max_size=3),
)
def test_any_curves_make_a_well_formed_plot(series, label, log, marks):
    svg = line_plot({k: ([a for a, _ in v], [b for _, b in v]) for k, v in series.items()}, label, label, log, marks)
    assert "b" not in Checker(svg).tags
    # Words may be anything; numbers are numbers.
    assert "nan" not in re.sub(r">[^<]*<|aria-label=\"[^\"]*\"", "", svg).lower()


@given(st.dictionaries(texts, any_float, max_size=8), texts)
def test_any_bars_are_well_formed(values, unit):
    svg = bars(values, unit, across=400)
    assert "b" not in Checker(svg).tags
    assert len(re.findall("<rect", svg)) == sum(math.isfinite(value) for value in values.values())


@given(st.floats(1e-3, 1e3), st.lists(st.floats(0, 1e6), max_size=300))
def test_any_histogram_is_well_formed_and_counts_all(width, counts):
    svg = histogram(width, counts, "mm", "frames")
    Checker(svg)
    printed = [float(text.split(": ")[1].replace(",", "")) for text in re.findall(r"<rect[^>]*><title>([^<]*)", svg)]
    assert sum(printed) == pytest.approx(sum(counts), rel=1e-4)


def test_bars_are_as_long_as_their_values():
    widths = [float(w) for w in re.findall(r'<rect[^>]* width="([^"]*)"', bars({"a": 2.0, "b": 1.0, "c": -1.0}, "mm"))]
    assert widths[0] == pytest.approx(2 * widths[1], abs=0.2) and widths[1] == pytest.approx(widths[2], abs=0.2)


def test_histogram_bars_add_up_when_drawn_together():
    heights = re.findall(r"<title>([^<]*: [^<]*)</title>", histogram(0.1, [1.0] * 200, "mm", "frames"))
    assert len(heights) == 50 and heights[0] == "0 to 0.4: 4"


@pytest.mark.parametrize(
    "svg", [line_plot({}, "x", "y"), line_plot({"a": ([1], [math.nan])}, "x", "y"), bars({}, "mm")]
)
def test_nothing_to_draw_is_reported(svg):
    assert "no data" in texts_of(svg)


def test_a_reader_who_does_not_see_gets_the_numbers():
    svg = line_plot({"mean": ([0, 1], [0.5, 1.5])}, "frame", "error, mm")
    label = next(v for _, k, v in Checker(svg).attributes if k == "aria-label")
    assert "error, mm against frame" in label and "from 0.5 to 1.5" in label


def test_unequal_lengths_are_an_error():
    with pytest.raises(UsageError, match="as many x as y"):
        line_plot({"a": ([1, 2], [1])}, "x", "y")


@pytest.mark.parametrize(
    ("plot", "given"),
    [
        (plots.line_plot, ({"a": (range(3000), np.sin(np.arange(3000)))}, "s", "mm")),
        (plots.histogram, (0.1, [1.0, 2.0], "mm", "frames")),
        (plots.bars, ({"left_shoulder": 1.0}, "mm")),
    ],
)
def test_a_page_gets_one_for_wide_and_one_for_narrow_windows(plot, given):
    both = plot(*given)
    assert re.findall(r'<svg class="([^"]*)".*?viewBox="0 0 (\d+)', both) == [
        ("plot wide", "720"),
        ("plot narrow", "360"),
    ]
    narrow = both[both.index('class="plot narrow"') :]
    assert max(float(x) for x in re.findall(r'\bx="([\d.]+)"', narrow)) < 360 and len(both) < 40_000
