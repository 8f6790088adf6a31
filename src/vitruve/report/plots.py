"""Small plots as SVG text: curves, histograms, bars. They take the page's colours, light or dark, and print.

Each is drawn twice, for a wide page and for a telephone, since letters that shrink with a plot cannot be read; the page
shows the one that fits. Where a width is given (`across`) there is one, which can stand alone.

Values that are NaN or infinite are gaps, and are counted in the legend. A curve of any length stays small: where many
values fall on one place of the picture, their smallest and largest are drawn.
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
Given = ParamSpec("Given")

# The colours of the page; the fallbacks are for a plot that stands alone.
_INK, _SOFT, _LINE = "var(--ink,#22262d)", "var(--soft,#5b6470)", "var(--line,#d9dee5)"
_SERIES = tuple(
    f"var(--series-{i},{colour})"
    for i, colour in enumerate(("#2f6fc4", "#d8741a", "#2b8a57", "#8b56ad", "#b83a4b", "#6b7280"), 1)
)
_WIDTHS, _HEIGHT, _FONT = {"wide": 720, "narrow": 360}, 270, 12
# Estimated width of a character, and the most places along the x axis that all curves together are drawn at.
_CHARACTER, _PLACES = 6.6, 1600


@dataclass(frozen=True)
class _Axis:
    """From values to places in the picture."""

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


def _for_pages(draw: Callable[Given, str]) -> Callable[Given, str]:
    """A plot that is drawn in both widths where none is given."""

    @functools.wraps(draw)
    def drawn(*given: Given.args, **options: Given.kwargs) -> str:
        if options.get("across"):
            return draw(*given, **options)
        both = []
        for name, width in _WIDTHS.items():
            options["across"] = width
            both.append(draw(*given, **options).replace('class="plot"', f'class="plot {name}"', 1))
        return "".join(both)

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
        series: name to (x, y), of equal length, drawn in the order of x; what is NaN or infinite (or not above zero
            where `log`) is a gap.
        x_label, y_label: with their units, such as "mean error, mm".
        log: whether the y axis is logarithmic.
        marks: name to a place on the x axis that gets an upright line.
        from_zero: begin the y axis at zero even where all values are far from it; not with `log`.
        across: width in pixels that its text is made for, where it shall not follow the page; 400 for a plot in one
            of two columns.
    """
    curves = {name: _curve(name, *pair, log) for name, pair in series.items()}
    known = [np.isfinite(y) for _, y in curves.values()]
    xs = _joined(x[ok] for (x, _), ok in zip(curves.values(), known))
    ys = _joined(y[ok] for (_, y), ok in zip(curves.values(), known))
    everywhere = _joined(x for x, _ in curves.values())
    missing = [int((~ok).sum()) for ok in known]
    names = [
        name + (f" ({count:,} without data)" if count else "") for (name, _), count in zip(curves.items(), missing)
    ]
    legend = _legend(names, across) if len(names) > 1 or any(missing) else ("", 0)
    title = f"{y_label} against {x_label}"
    if not len(xs):
        return _empty(title, x_label, y_label, across)
    shown = _joined((everywhere, np.fromiter((marks or {}).values(), float)))
    y_low, y_high = _span(np.append(ys, 0.0) if from_zero and not log else ys, log)
    y_ticks = _log_ticks(y_low, y_high) if log else _ticks(y_low, y_high, 5)
    left, top = 34 + _CHARACTER * max(len(_number(tick)) for tick in y_ticks), 14 + legend[1] + (16 if marks else 0)
    x_axis = _Axis(*_wide(float(shown.min()), float(shown.max())), left, across - 14)
    y_axis = _Axis(y_low, y_high, _HEIGHT - 44, top, log)
    places = min(int(x_axis.end - x_axis.start), _PLACES // len(curves))
    parts = [legend[0], _axes(x_axis, y_axis, x_axis.ticks(across // 90), y_ticks, x_label, y_label)]
    parts += [_marks(marks or {}, x_axis, y_axis)]
    for i, (x, y) in enumerate(curves.values()):
        drawn = _path(*_thinned(x_axis.place(x), y_axis.place(y), places, x_axis))
        style = f'stroke-linejoin="round" stroke-linecap="round" style="stroke:{_SERIES[i % len(_SERIES)]}"'
        parts += [
            f'<path d="{path}" fill="none" stroke-width="{wide}" {style}/>'
            for path, wide in zip(drawn, (1.6, 4))
            if path
        ]
    said = [
        f"{name}: from {_number(float(y[ok].min()), 4)} to {_number(float(y[ok].max()), 4)}, "
        f"mean {_number(float(y[ok].mean()), 4)}."
        for name, (_, y), ok in zip(names, curves.values(), known)
        if ok.any()
    ]
    return _svg(title, " ".join(said), parts, across)


@_for_pages
def histogram(width: float, counts: Sequence[float], x_label: str, y_label: str, *, across: int = 0) -> str:
    """How many values lie in each bin.

    Args:
        width: of a bin, in the unit of `x_label`; the first begins at 0.
        counts: in each bin; more than 60 bins are drawn together.
        x_label, y_label: with their units.
        across: as in `line_plot`.
    """
    title = f"{y_label} by {x_label}"
    bins = np.nan_to_num(np.asarray(counts, np.float64), posinf=0.0, neginf=0.0)
    bins[bins < 1e-300] = 0.0  # what no scale can be made of
    if not bins.sum() > 0:
        return _empty(title, x_label, y_label, across)
    bins = bins[: int(np.flatnonzero(bins).max()) + 1]
    together = -(-len(bins) // 60)
    bins = np.add.reduceat(bins, np.arange(0, len(bins), together))
    wide = width * together
    y_ticks = _ticks(0.0, float(bins.max()), 5)
    left = 34 + _CHARACTER * max(len(_number(tick)) for tick in y_ticks)
    # No fewer than 12 places, so that one bin is not a wall.
    x_axis = _Axis(0.0, wide * max(len(bins), 12), left, across - 14)
    y_axis = _Axis(0.0, max(float(bins.max()), y_ticks[-1]), _HEIGHT - 44, 14)
    bars = []
    for i, count in enumerate(bins):
        if count > 0:
            x, y = float(x_axis.place(i * wide)), float(y_axis.place(count))
            step = float(x_axis.place((i + 1) * wide)) - x
            said = f"{_number(i * wide, 6)} to {_number((i + 1) * wide, 6)}: {_number(float(count), 6)}"
            bars.append(
                f'<rect x="{x + 0.5:.1f}" y="{min(y, y_axis.start - 1):.1f}" width="{max(step - 1, 0.5):.1f}" '
                f'height="{max(y_axis.start - y, 1):.1f}" style="fill:{_SERIES[0]}"><title>{said}</title></rect>'
            )
    most = int(bins.argmax())
    total, highest = _number(float(bins.sum()), 6), f"{_number(most * wide, 6)} to {_number((most + 1) * wide, 6)}"
    axes = _axes(x_axis, y_axis, x_axis.ticks(across // 90), y_ticks, x_label, y_label)
    return _svg(title, f"{total} in all; most lie at {highest}.", [axes, *bars], across)


@_for_pages
def bars(values: Mapping[str, float], unit: str, *, across: int = 0) -> str:
    """A bar for each value, in the order given, with its name and its number; NaN is "no data"."""
    if not values:
        return _empty(f"bars, {unit}", unit, "", across)
    known = [value for value in values.values() if math.isfinite(value)]
    low, high = min([0.0, *known]), max([0.0, *known])
    low, high = (low, high) if high > low else (0.0, 1.0)
    most = min(34, across // 20)
    names = {name: name if len(name) <= most else name[: most - 1] + "…" for name in values}
    left = 14 + _CHARACTER * max(len(name) for name in names.values())
    said_by = {name: f"{_number(value, 3)} {unit}".strip() for name, value in values.items()}
    axis = _Axis(low, high, left, across - 14 - _CHARACTER * max(len(words) for words in said_by.values()))
    zero, parts, step = float(axis.place(0.0)), [], 22
    for i, (name, value) in enumerate(values.items()):
        y = 8 + i * step
        parts.append(_text(left - 8, y + 13, names[name], "end", _INK, full=name))
        if not math.isfinite(value):
            parts.append(_text(zero + 6, y + 13, "no data", "start", _SOFT))
            continue
        end = float(axis.place(value))
        parts.append(
            f'<rect x="{min(zero, end):.1f}" y="{y}" width="{max(abs(end - zero), 1):.1f}" height="{step - 5}" rx="2" '
            f'style="fill:{_SERIES[0 if value >= 0 else 4]}"><title>{escape(name)}</title></rect>'
        )
        parts.append(_text(max(end, zero) + 6, y + 13, said_by[name], "start", _INK))
    height = 12 + step * len(values)
    parts.append(f'<path d="M{zero:.1f} 4V{height - 4}" style="stroke:{_SOFT}"/>')
    said = ", ".join(f"{name} {_number(value, 4)}" for name, value in values.items())
    return _svg(f"bars, {unit}" if unit else "bars", said, parts, across, height)


def _curve(name: str, x: ArrayLike, y: ArrayLike, log: bool) -> tuple[Floats, Floats]:
    """A series as arrays, all that cannot be drawn as NaN."""
    xs, ys = np.asarray(x, np.float64).ravel(), np.asarray(y, np.float64).ravel()
    if len(xs) != len(ys):
        raise UsageError(
            "a curve needs as many x as y", where=f"'{name}': {len(xs)} and {len(ys)}", fix="give both the same length"
        )
    order = np.flatnonzero(np.isfinite(xs))
    order = order[np.argsort(xs[order], kind="stable")]
    xs, ys = xs[order], ys[order]
    ys[~np.isfinite(ys) | (log & (ys <= 0))] = np.nan
    return xs, ys


def _thinned(x: Floats, y: Floats, places: int, axis: _Axis) -> tuple[Floats, Floats]:
    """The smallest and the largest value at each of the places, in their order; NaN where there is none."""
    if len(x) <= 2 * places:
        return x, y
    bucket = np.clip(((x - axis.start) / (axis.end - axis.start) * places).astype(int), 0, places - 1)
    out_x, out_y = [], []
    for part in np.split(np.arange(len(x)), np.flatnonzero(np.diff(bucket)) + 1):
        here = part[np.isfinite(y[part])]
        if not len(here):
            out_x.append(x[part[0]])
            out_y.append(np.nan)
            continue
        for i in sorted({int(here[y[here].argmin()]), int(here[y[here].argmax()])}):
            out_x.append(x[i])
            out_y.append(y[i])
    return np.array(out_x), np.array(out_y)


def _path(x: Floats, y: Floats) -> tuple[str, str]:
    """Lines from point to point, broken at NaN; and dots, for points between two gaps."""
    known = np.isfinite(y)
    before, after = np.append(False, known[:-1]), np.append(known[1:], False)
    lines, dots = [], []
    for place, value, there, follows, goes_on in zip(x.tolist(), y.tolist(), known, before, after):
        if there and (follows or goes_on):
            lines.append(f"{'L' if follows else 'M'}{place:.1f} {value:.1f}")
        elif there:
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
    """Upright lines with their names above, each as near to its line as the others leave room."""
    parts, taken = [], -math.inf
    for name, value in sorted(marks.items(), key=lambda mark: mark[1]):
        place, wide = float(x.place(value)), _CHARACTER * len(name)
        start = max(min(place - wide / 2, x.end - wide), taken + 8)
        taken = start + wide
        parts.append(
            f'<path d="M{place:.1f} {y.start:.1f}V{y.end - 4:.1f}" stroke-dasharray="3 3" style="stroke:{_SOFT}"/>'
        )
        parts.append(_text(start, y.end - 8, name, "start", _SOFT))
    return "".join(parts)


def _legend(names: Sequence[str], across: int) -> tuple[str, float]:
    """Above the plot, in as many lines as it needs; with its height."""
    parts, left, line = [], 50.0, 0
    for i, name in enumerate(names):
        wide = 40 + _CHARACTER * len(name)
        if left + wide > across and left > 50:
            left, line = 50.0, line + 1
        y = 14 + 17 * line
        parts.append(
            f'<path d="M{left:.1f} {y - 4}h18" stroke-width="3" style="stroke:{_SERIES[i % len(_SERIES)]}"/>'
            + _text(left + 24, y, name, "start", _INK)
        )
        left += wide
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
    whole = f"<title>{escape(full)}</title>" if full not in ("", text) else ""
    about = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" style="fill:{colour}"{turned}'
    return f"<text {about}>{escape(text)}{whole}</text>"


def _joined(arrays: Iterable[Floats]) -> Floats:
    return np.concatenate([np.zeros(0), *arrays])


def _wide(low: float, high: float) -> tuple[float, float]:
    """A range that can be divided: values that are all alike get room on both sides."""
    if high - low > 1e-9 * max(abs(low), abs(high)):
        return low, high
    room = 0.1 * abs(low) or 0.5
    return low - room, high + room


def _span(values: Floats, log: bool) -> tuple[float, float]:
    """What the y axis shows: from zero, unless all values are far from it."""
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
    return inside if len(inside) > 1 else _ticks(low, high, 4)  # a short range is all but linear


def _number(value: float, digits: int = 8) -> str:
    """A number without needless digits: 1,500, 0.05, 2e-07."""
    if not math.isfinite(value):
        return "no data"
    if value and not 1e-4 <= abs(value) < 1e7:
        return f"{value:.{min(digits, 5)}g}"
    shown = f"{value:,.{max(0, digits - 1 - math.floor(math.log10(abs(value))) if value else 0)}f}"
    return shown.rstrip("0").rstrip(".") if "." in shown else shown
