"""Parse and format the text of a BVH file: its hierarchy and its table of numbers."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from vitruve.errors import BadData
from vitruve.formats.readers.plain_text import check_finite, damaged, numbers
from vitruve.motion.checks import USUAL_RATES

_CHANNELS = {f"{axis}{kind}".lower(): f"{axis}{kind}" for axis in "XYZ" for kind in ("position", "rotation")}
_BRACES = "check the braces, or export the file again"


@dataclass
class Hierarchy:
    """The joints of a BVH file, in its own units and axes.

    Attributes:
        names, parents: the tree, parents first, -1 for the root.
        offsets: OFFSET of each joint.
        channels: channel names of each joint, in order, such as "Xposition" and "Zrotation".
        end_sites: (joint, OFFSET) of each End Site.
    """

    names: list[str] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    offsets: list[tuple[float, float, float] | None] = field(default_factory=list)
    channels: list[list[str]] = field(default_factory=list)
    end_sites: list[tuple[int, tuple[float, float, float]]] = field(default_factory=list)

    def add(self, name: str, parent: int) -> int:
        """Append a joint and return its index."""
        self.names.append(name)
        self.parents.append(parent)
        self.offsets.append(None)
        self.channels.append([])
        return len(self.names) - 1


def parse_bvh(data: bytes, where: str) -> tuple[Hierarchy, NDArray[np.float64], float, tuple[str, ...]]:
    """Parse a BVH file.

    Returns:
        The hierarchy, [frames, channels] numbers, frames per second, and notes on decisions.
    """
    data = data.replace(b"\r\n", b"\n").replace(b"\r", b"\n").removeprefix(b"\xef\xbb\xbf")
    motion = re.search(rb"(?im)^[ \t]*MOTION[ \t]*$", data)
    if not re.match(rb"(?i)\s*HIERARCHY\b", data):
        raise damaged("this is not a BVH file", f"{where}: it does not begin with HIERARCHY", "check the file")
    if motion is None:
        raise damaged("the BVH file has no MOTION", f"{where}: it ends before")
    tree = _parse_hierarchy(data[: motion.start()].decode("utf-8", "replace"), where)
    header = re.compile(rb"(?i)\s*Frames[ \t]*:?\s*(\S+)\s+Frame[ \t]*Time[ \t]*:?\s*(\S+)[^\n]*")
    match = header.match(data, motion.end())
    if match is None:
        line = data.count(b"\n", 0, motion.start()) + 1
        raise damaged("after MOTION there must be 'Frames:' and 'Frame Time:'", f"{where}, line {line}")
    line = data.count(b"\n", 0, match.end()) + 1
    frames = match[1].decode("ascii", "replace")
    if not frames.isdigit() or not int(frames):
        raise damaged(f"'{frames}' is no number of frames", f"{where}, line {line - 1}")
    fps, notes = _rate(match[2].decode("ascii", "replace"), f"{where}, line {line}")
    return tree, _table(data[match.end() :], int(frames), sum(map(len, tree.channels)), where, line), fps, notes


def format_bvh(tree: Hierarchy, table: NDArray[np.float64], fps: float, decimals: int) -> str:
    """The text of a file from a depth-first hierarchy and [frames, channels].

    Offsets and positions have `decimals`, angles six, the frame time all its digits.
    """
    lines, depth = ["HIERARCHY"], -1
    depths: list[int] = []
    for joint, parent in enumerate(tree.parents):
        new = depths[parent] + 1 if parent >= 0 else 0
        depths.append(new)
        lines += ["\t" * level + "}" for level in range(depth, new - 1, -1)]
        depth, tabs = new, "\t" * new
        lines += [f"{tabs}{'JOINT' if new else 'ROOT'} {tree.names[joint]}", tabs + "{"]
        lines.append(f"{tabs}\tOFFSET {_joined(tree.offsets[joint] or (), decimals)}")
        lines.append(f"{tabs}\tCHANNELS {len(tree.channels[joint])} {' '.join(tree.channels[joint])}")
        for offset in (offset for end, offset in tree.end_sites if end == joint):
            inside = ("End Site", "{", f"\tOFFSET {_joined(offset, decimals)}", "}")
            lines += [f"{tabs}\t{line}" for line in inside]
    lines += ["\t" * level + "}" for level in range(depth, -1, -1)]
    lines += ["MOTION", f"Frames: {len(table)}", f"Frame Time: {1 / fps!r}"]
    kinds = [name.endswith("position") for channels in tree.channels for name in channels]
    row = " ".join(f"%.{decimals}f" if position else "%.6f" for position in kinds)
    lines += [row % tuple(values) for values in table.tolist()]
    return "\n".join(lines) + "\n"


def _joined(values: tuple[float, ...], decimals: int) -> str:
    return " ".join(f"{value:.{decimals}f}" for value in values)


def _parse_hierarchy(text: str, where: str) -> Hierarchy:
    tree = Hierarchy()
    stack: list[int] = []  # joints with open braces; an End Site is ~joint
    declared: int | None = None  # the joint or End Site before its opening brace
    number = 1
    for number, line in enumerate(text.split("\n"), start=1):
        here = f"{where}, line {number}"
        for part in re.split(r"([{}])", line):
            words = part.split()
            keyword = words[0].lower() if words else ""
            if not words or (keyword == "hierarchy" and not tree.names):
                continue
            if keyword in ("root", "joint"):
                declared = _declare(tree, keyword, part, stack, here)
            elif keyword == "end" and stack and stack[-1] >= 0:
                declared = ~stack[-1]
            elif keyword == "{" and declared is not None:
                stack.append(declared)
                declared = None
            elif keyword == "}" and stack:
                stack.pop()
            elif keyword == "offset" and stack:
                _set_offset(tree, stack[-1], words[1:], here)
            elif keyword == "channels" and stack and stack[-1] >= 0:
                tree.channels[stack[-1]] = _channels(words[1:], here)
            else:
                raise damaged(f"'{words[0]}' does not belong here", here, _BRACES)
    if stack or declared is not None or not tree.names:
        raise damaged("the hierarchy ends early", f"{where}, line {number}")
    if None in tree.offsets:
        raise damaged(f"joint '{tree.names[tree.offsets.index(None)]}' has no OFFSET", where)
    return tree


def _declare(tree: Hierarchy, keyword: str, part: str, stack: list[int], where: str) -> int:
    """Add the joint of a ROOT or JOINT line."""
    name = part.split(maxsplit=1)[1].strip() if len(part.split()) > 1 else ""
    if not name:
        raise damaged("a joint has no name", where, "give it one")
    if name in tree.names:
        raise damaged(f"two joints are called '{name}'", where, "rename one of them")
    if keyword == "root" and tree.names:
        what = f"the file has several roots: '{tree.names[0]}' and '{name}'"
        raise damaged(what, where, "split it into one file per figure; a motion has one tree")
    if keyword == "joint" and (not stack or stack[-1] < 0):
        raise damaged(f"joint '{name}' has no parent", where, _BRACES)
    return tree.add(name, stack[-1] if stack else -1)


def _set_offset(tree: Hierarchy, node: int, words: list[str], where: str) -> None:
    if len(words) != 3:
        raise damaged(f"OFFSET has {len(words)} numbers", where, "it needs three")
    x, y, z = (_number(word, where) for word in words)
    if node < 0:
        tree.end_sites.append((~node, (x, y, z)))
    else:
        tree.offsets[node] = (x, y, z)


def _channels(words: list[str], where: str) -> list[str]:
    names = [_CHANNELS.get(word.lower(), "") for word in words[1:]]
    if not words or words[0] != str(len(names)):
        raise damaged(f"CHANNELS declares {words[0] if words else 'nothing'} and lists {len(names)}", where)
    if "" in names:
        fix = f"the channels are {', '.join(_CHANNELS.values())}"
        raise damaged(f"unknown channel '{words[1 + names.index('')]}'", where, fix)
    if len(set(names)) < len(names):
        raise damaged("duplicate channel", f"{where}: {' '.join(names)}")
    return names


def _number(word: str, where: str) -> float:
    try:
        value = float(word.replace(",", "."))
    except ValueError:
        value = float("nan")
    if not np.isfinite(value):
        raise damaged(f"'{word}' is no number", where)
    return value


def _rate(word: str, where: str) -> tuple[float, tuple[str, ...]]:
    """Frames per second of a frame time, and a note if it was treated as rounded: 0.033 is 30 fps."""
    time = _number(word, where)
    if time <= 0:
        raise damaged(f"the frame time {word} s is not positive", where, "write 1 / frames per second there")
    mantissa, _, exponent = word.replace(",", ".").lower().partition("e")
    last_digit = 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))
    digits = len(mantissa.replace(".", "").strip("+-").lstrip("0"))
    slack = max(last_digit, 4 * np.finfo(float).eps * time)
    raw = 1 / time
    candidates = [round(raw)] if abs(raw - round(raw)) < 1e-6 * raw else []
    # Few digits can only be matched to usual rates, many digits to any round rate.
    candidates += sorted(USUAL_RATES, key=lambda rate: abs(rate - raw))[:1] if digits > 1 else []
    candidates += [round(raw, decimals) for decimals in range(12)] if digits > 3 else []
    fps = next((float(rate) for rate in candidates if rate > 0 and abs(1 / rate - time) <= slack), raw)
    return fps, (f"the frame time of {word} s was read as {fps:g} fps",) if abs(fps - raw) > 1e-9 * raw else ()


def _table(block: bytes, frames: int, width: int, where: str, line: int) -> NDArray[np.float64]:
    """The numbers as [frames, channels]; `line` is the line on which `block` begins."""
    if width == 0:
        raise damaged("no joint has channels", where, "export the file with channels")
    if b"," in block:
        block = block.replace(b",", b".")
    values = numbers(block)
    if values is None or values.size != frames * width:
        raise _misfit(block, frames, width, where, line)
    table = values.reshape(frames, width)

    def place(frame: int) -> str:
        filled = [i for i, text in enumerate(block.split(b"\n"), start=line) if text.strip()]
        return f"{where}, line {filled[frame]} (frame {frame})" if len(filled) == frames else f"{where} (frame {frame})"

    check_finite(table, "a value", place)
    return table


def _misfit(block: bytes, frames: int, width: int, where: str, line: int) -> BadData:
    """Find where the numbers stop matching the header."""
    frame = 0
    for number, text in enumerate(block.split(b"\n"), start=line):
        words = text.split()
        for word in words:
            try:
                float(word)
            except ValueError:
                shown = word[:20].decode("ascii", "replace")
                return damaged(f"'{shown}' is no number", f"{where}, line {number}")
        if words and len(words) != width:
            what = f"a frame has {len(words)} values where the channels need {width}"
            return damaged(what, f"{where}, line {number} (frame {frame})")
        frame += bool(words)
    return damaged(f"the file declares {frames} frames and has {frame}", where)
