"""Small plots as SVG text: curves, histograms, bars. They use the page's colours, light or dark, and can be printed.

Each is drawn for a wide and for a narrow page, so that its letters stay readable; the page shows the one that fits.
With a width (`across`) there is only one, which can stand alone. NaN and infinite values are gaps, counted in the
legend. Long curves stay small: only the smallest and largest value at each place of the picture are drawn.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from typing import ParamSpec

import numpy as np
from numpy.typing import ArrayLike, NDArray

from vitruve.errors import UsageError

Floats = NDArray[np.float64]
Arguments = ParamSpec("Arguments")

# The colours of the page, with fallbacks for a plot outside of one.
_INK, _SOFT, _LINE = "var(--ink,#22262d)", "var(--soft,#5b6470)", "var(--line,#d9dee5)"
_SERIES = tuple(
    f"var(--series-{i},{colour})"
    for i, colour in enumerate(("#2f6fc4", "#d8741a", "#2b8a57", "#8b56ad", "#b83a4b", "#6b7280"), 1)
)
_WIDTHS, _HEIGHT, _FONT = {"wide": 720, "narrow": 360}, 270, 12
# Estimated width of a character, and the most places along the x axis at which all curves together are drawn.
_CHARACTER, _PLACES = 6.6, 1600


@dataclass(frozen=True)
class _Axis:
    """A map from values to places in the picture."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def place(self, values: ArrayLike) -> Floats:
        values = np.asarray(values, np.float64)
        if self.log:
            with np.errstate(divide="ignore", invalid="ignore"):
                values = np.where(values > 0, np.log10(values), np.nan)
        low, high = (math.log10(self.low), math.log10(self.high)) if self.log else (self.low, self.high)
        return self.start + (values - low) / (high - low) * (self.end - self.start)

    def ticks(self, about: int) -> list[float]:
        return _log_ticks(self.low, self.high) if self.log else _ticks(self.low, self.high, about)


def _for_pages(draw: Callable[Arguments, str]) -> Callable[Arguments, str]:
    """Draw in both widths where none is given."""

    @functools.wraps(draw)
    def drawn(*arguments: Arguments.args, **options: Arguments.kwargs) -> str:
        if options.get("across"):
            return draw(*arguments, **options)
        plots = []
        for name, width in _WIDTHS.items():
            options["across"] = width
            plots.append(draw(*arguments, **options).replace('class="plot"', f'class="plot {name}"', 1))
        return "".join(plots)

    return drawn


@_for_pages
def line_plot(
    series: Mapping[str, tuple[ArrayLike, ArrayLike]],
    x_label: str,
    y_label: str,
    log: bool = False,
    marks: Mapping[str, float] | None = None,
    from_zero: bool = False,
    *,
    across: int = 0,
) -> str:
    """Curves over one axis.

    Args:
        series: name to (x, y) of equal length, drawn in the order of x; values that are NaN or infinite (or not above
            zero where `log`) are gaps.
        x_label, y_label: with their units, such as "mean error, mm".
        log: whether the y axis is logarithmic.
        marks: name to a place on the x axis that gets an upright line.
        from_zero: begin the y axis at zero even where all values are far from it; not with `log`.
        across: a fixed width in pixels, such as 400 for one of two columns.
    """
    title = f"{y_label} against {x_label}"
    curves, names, points = _curves(series, log), [], []
    for name, (x, y) in curves.items():
        known = np.isfinite(y)
        points.append((x[known], y[known]))
        names.append(name + ("" if known.all() else f" ({(~known).sum():,} without data)"))
    ys = _joined(y for _, y in points)
    if not len(ys):
        return _empty(title, x_label, y_label, across)
    marks = marks or {}
    shown = _joined([*(x for x, _ in curves.values()), np.fromiter(marks.values(), float)])
    legend, legend_height = _legend(names, across) if len(names) > 1 or names != [*curves] else ("", 0.0)
    y_low, y_high = _span(np.append(ys, 0.0) if from_zero and not log else ys, log)
    y_ticks = _log_ticks(y_low, y_high) if log else _ticks(y_low, y_high, 5)
    x_axis = _Axis(*_wide(float(shown.min()), float(shown.max())), _left_margin(y_ticks), across - 14)
    y_axis = _Axis(y_low, y_high, _HEIGHT - 44, 14 + legend_height + (16 if marks else 0), log)
    places = min(int(x_axis.end - x_axis.start), _PLACES // len(curves))
    parts = [legend, _axes(x_axis, y_axis, x_axis.ticks(across // 90), y_ticks, x_label, y_label)]
    parts += [_marks(marks, x_axis, y_axis)]
    for i, (x, y) in enumerate(curves.values()):
        lines, dots = _paths(*_thinned(x_axis.place(x), y_axis.place(y), places, x_axis))
        style = f'stroke-linejoin="round" stroke-linecap="round" style="stroke:{_SERIES[i % len(_SERIES)]}"'
        for path, width in ((lines, 1.6), (dots, 4)):
            if path:
                parts.append(f'<path d="{path}" fill="none" stroke-width="{width}" {style}/>')
    description = []
    for name, (_, y) in zip(names, points):
        if len(y):
            low, high, mean = (_number(float(value), 4) for value in (y.min(), y.max(), y.mean()))
            description.append(f"{name}: from {low} to {high}, mean {mean}.")
    return _svg(title, " ".join(description), parts, across)


@_for_pages
def histogram(width: float, counts: Sequence[float], x_label: str, y_label: str, *, across: int = 0) -> str:
    """The number of values in each bin.

    Args:
        width: of a bin, in the unit of `x_label`; the first begins at 0.
        counts: in each bin; more than 60 bins are merged.
        x_label, y_label: with their units.
        across: as in `line_plot`.
    """
    title = f"{y_label} by {x_label}"
    bins = np.nan_to_num(np.asarray(counts, np.float64), posinf=0.0, neginf=0.0)
    bins[bins < 1e-300] = 0.0  # too small for a scale
    if not bins.sum() > 0:
        return _empty(title, x_label, y_label, across)
    bins = bins[: int(np.flatnonzero(bins).max()) + 1]
    merged = -(-len(bins) // 60)
    bins = np.add.reduceat(bins, np.arange(0, len(bins), merged))
    width *= merged
    y_ticks = _ticks(0.0, float(bins.max()), 5)
    # At least 12 places, so that a single bin does not fill the plot.
    x_axis = _Axis(0.0, width * max(len(bins), 12), _left_margin(y_ticks), across - 14)
    y_axis = _Axis(0.0, max(float(bins.max()), y_ticks[-1]), _HEIGHT - 44, 14)
    ranges = [f"{_number(i * width, 6)} to {_number((i + 1) * width, 6)}" for i in range(len(bins))]
    parts = [_axes(x_axis, y_axis, x_axis.ticks(across // 90), y_ticks, x_label, y_label)]
    for i, count in enumerate(bins.tolist()):
        if count > 0:
            x, y = float(x_axis.place(i * width)), float(y_axis.place(count))
            step = float(x_axis.place((i + 1) * width)) - x
            parts.append(
                f'<rect x="{x + 0.5:.1f}" y="{min(y, y_axis.start - 1):.1f}" width="{max(step - 1, 0.5):.1f}" '
                f'height="{max(y_axis.start - y, 1):.1f}" style="fill:{_SERIES[0]}">'
                f"<title>{ranges[i]}: {_number(count, 6)}</title></rect>"
            )
    total = _number(float(bins.sum()), 6)
    return _svg(title, f"{total} in all; most lie at {ranges[int(bins.argmax())]}.", parts, across)


@_for_pages
def bars(values: Mapping[str, float], unit: str, *, across: int = 0) -> str:
    """A bar for each value, in the order given, with its name and its number; NaN is "no data"."""
    if not values:
        return _empty(f"bars, {unit}", unit, "", across)
    known = [0.0, *filter(math.isfinite, values.values())]
    low, high = (min(known), max(known)) if any(known) else (0.0, 1.0)
    most = min(34, across // 20)
    names = {name: name if len(name) <= most else name[: most - 1] + "…" for name in values}
    numbers = {name: f"{_number(value, 3)} {unit}".strip() for name, value in values.items()}
    right = across - 14 - _CHARACTER * max(map(len, numbers.values()))
    axis = _Axis(low, high, 14 + _CHARACTER * max(map(len, names.values())), right)
    zero, parts, step = float(axis.place(0.0)), [], 22
    for i, (name, value) in enumerate(values.items()):
        y = 8 + i * step
        parts.append(_text(axis.start - 8, y + 13, names[name], "end", _INK, full=name))
        if not math.isfinite(value):
            parts.append(_text(zero + 6, y + 13, "no data", "start", _SOFT))
            continue
        end = float(axis.place(value))
        parts.append(
            f'<rect x="{min(zero, end):.1f}" y="{y}" width="{max(abs(end - zero), 1):.1f}" height="{step - 5}" rx="2" '
            f'style="fill:{_SERIES[0 if value >= 0 else 4]}"><title>{escape(name)}</title></rect>'
        )
        parts.append(_text(max(end, zero) + 6, y + 13, numbers[name], "start", _INK))
    height = 12 + step * len(values)
    parts.append(f'<path d="M{zero:.1f} 4V{height - 4}" style="stroke:{_SOFT}"/>')
    description = ", ".join(f"{name} {_number(value, 4)}" for name, value in values.items())
    return _svg(f"bars, {unit}" if unit else "bars", description, parts, across, height)


def _curves(series: Mapping[str, tuple[ArrayLike, ArrayLike]], log: bool) -> dict[str, tuple[Floats, Floats]]:
    """The series as arrays in the order of x, with NaN for every y that cannot be drawn."""
    curves = {}
    for name, (x, y) in series.items():
        xs, ys = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
        if len(xs) != len(ys):
            where = f"'{name}': {len(xs)} and {len(ys)}"
            raise UsageError("a curve needs as many x as y", where=where, fix="give both the same length")
        order = np.flatnonzero(np.isfinite(xs))
        order = order[np.argsort(xs[order], kind="stable")]
        xs, ys = xs[order], ys[order]
        ys[~np.isfinite(ys) | (log & (ys <= 0))] = np.nan
        curves[name] = xs, ys
    return curves


def _thinned(x: Floats, y: Floats, places: int, axis: _Axis) -> tuple[Floats, Floats]:
    """The smallest and the largest value at each of the places, in their order; NaN where there is none."""
    if len(x) <= 2 * places:
        return x, y
    place = np.clip(((x - axis.start) / (axis.end - axis.start) * places).astype(int), 0, places - 1)
    kept: list[int] = []
    for rows in np.split(np.arange(len(x)), np.flatnonzero(np.diff(place)) + 1):
        known = rows[np.isfinite(y[rows])]
        kept += sorted({int(known[y[known].argmin()]), int(known[y[known].argmax()])}) if len(known) else [int(rows[0])]
    return x[kept], y[kept]


def _paths(x: Floats, y: Floats) -> tuple[str, str]:
    """Lines from point to point, broken at NaN; and dots for single points between two gaps."""
    known = np.isfinite(y)
    before, after = np.append(False, known[:-1]), np.append(known[1:], False)
    lines, dots = [], []
    for place, value, follows, precedes in zip(*(each[known].tolist() for each in (x, y, before, after))):
        if follows or precedes:
            lines.append(f"{'L' if follows else 'M'}{place:.1f} {value:.1f}")
        else:
            dots.append(f"M{place:.1f} {value:.1f}h0")
    return "".join(lines), "".join(dots)


def _axes(x: _Axis, y: _Axis, x_ticks: list[float], y_ticks: list[float], x_label: str, y_label: str) -> str:
    """Grid, numbers and labels."""
    lines, texts = [], []
    for tick, place in zip(y_ticks, y.place(y_ticks).tolist()):
        lines.append(f"M{x.start:.1f} {place:.1f}H{x.end:.1f}")
        texts.append(_text(x.start - 6, place + 4, _number(tick), "end", _SOFT))
    for tick, place in zip(x_ticks, x.place(x_ticks).tolist()):
        lines.append(f"M{place:.1f} {y.start:.1f}v4")
        texts.append(_text(place, y.start + 17, _number(tick), "middle", _SOFT))
    texts.append(_text((x.start + x.end) / 2, y.start + 36, x_label, "middle", _INK))
    middle = (y.start + y.end) / 2
    texts.append(_text(14, middle, y_label, "middle", _INK, turned=f' transform="rotate(-90 14 {middle:.1f})"'))
    base = f'<path d="M{x.start:.1f} {y.start:.1f}H{x.end:.1f}" style="stroke:{_SOFT}"/>'
    return f'<path d="{"".join(lines)}" style="stroke:{_LINE}"/>{base}{"".join(texts)}'


def _marks(marks: Mapping[str, float], x: _Axis, y: _Axis) -> str:
    """Upright lines with their names above, as near to their lines as there is room."""
    parts, last_end = [], -math.inf
    for name, value in sorted(marks.items(), key=lambda mark: mark[1]):
        place, width = float(x.place(value)), _CHARACTER * len(name)
        start = max(min(place - width / 2, x.end - width), last_end + 8)
        last_end = start + width
        parts.append(
            f'<path d="M{place:.1f} {y.start:.1f}V{y.end - 4:.1f}" stroke-dasharray="3 3" style="stroke:{_SOFT}"/>'
        )
        parts.append(_text(start, y.end - 8, name, "start", _SOFT))
    return "".join(parts)


def _legend(names: Sequence[str], across: int) -> tuple[str, float]:
    """The legend above the plot, in as many lines as it needs, and its height."""
    parts, left, line = [], 50.0, 0
    for i, name in enumerate(names):
        width = 40 + _CHARACTER * len(name)
        if left + width > across and left > 50:
            left, line = 50.0, line + 1
        y = 14 + 17 * line
        parts.append(
            f'<path d="M{left:.1f} {y - 4}h18" stroke-width="3" style="stroke:{_SERIES[i % len(_SERIES)]}"/>'
            + _text(left + 24, y, name, "start", _INK)
        )
        left += width
    return "".join(parts), 17.0 * (line + 1)


def _empty(title: str, x_label: str, y_label: str, across: int) -> str:
    x, y = _Axis(0, 1, 40, across - 14), _Axis(0, 1, 96, 14)
    text = _text((x.start + x.end) / 2, 60, "no data", "middle", _SOFT)
    return _svg(title, "There is no data.", [_axes(x, y, [], [], x_label, y_label), text], across, 140)


def _svg(title: str, description: str, parts: Iterable[str], across: int, height: float = _HEIGHT) -> str:
    return (
        f'<svg class="plot" xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {across} {height:g}" role="img" '
        f'aria-label="{escape(title)}. {escape(description)}" font-size="{_FONT}" '
        f'font-family="system-ui, sans-serif"><title>{escape(title)}</title><desc>{escape(description)}</desc>'
        f"{''.join(parts)}</svg>"
    )


def _text(x: float, y: float, text: str, anchor: str, colour: str, turned: str = "", full: str = "") -> str:
    title = f"<title>{escape(full)}</title>" if full not in ("", text) else ""
    attributes = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{colour}"{turned}'
    return f"<text {attributes}>{escape(text)}{title}</text>"


def _left_margin(y_ticks: Sequence[float]) -> float:
    return 34 + _CHARACTER * max(len(_number(tick)) for tick in y_ticks)


def _joined(arrays: Iterable[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *arrays])


def _wide(low: float, high: float) -> tuple[float, float]:
    """The range, widened where its ends are equal."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    room = 0.1 * abs(low) or 0.5
    return low - room, high + room


def _span(values: Floats, log: bool) -> tuple[float, float]:
    """The range of the y axis: from zero, unless all values are far from it."""
    low, high = float(values.min()), float(values.max())
    if log:
        return (low / 1.2, high * 1.2) if high / low < 1.5 else (low / 1.05, high * 1.05)
    if 0 <= low <= 0.6 * high:
        low = 0.0
    if low == high == 0:
        return 0.0, 1.0
    low, high = _wide(low, high)
    return (low if low == 0 else low - 0.04 * (high - low)), high + 0.04 * (high - low)


def _ticks(low: float, high: float, about: int) -> list[float]:
    """Round numbers from low to high, 1, 2 or 5 times a power of ten apart."""
    rough = (high - low) / about
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(factor * power for factor in (1, 2, 5, 10) if factor * power >= 0.999 * rough)
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    digits = max(0, -math.floor(math.log10(step)))
    return [round(i * step, digits) + 0.0 for i in range(first, last + 1)]


def _log_ticks(low: float, high: float) -> list[float]:
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    steps = (1,) if last - first > 4 else (1, 2, 5)
    every = max(1, (last - first) // 7)
    ticks = [step * 10.0**power for power in range(first, last + 1, every) for step in steps]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside if len(inside) > 1 else _ticks(low, high, 4)  # a short range is nearly linear


def _number(value: float, digits: int = 8) -> str:
    """A number without trailing zeros: 1,500, 0.05, 2e-07."""
    if not math.isfinite(value):
        return "no data"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{min(digits, 5)}g}"
    shown = f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))) if value else 0)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
