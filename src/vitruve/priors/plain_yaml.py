"""Reads the subset of YAML used by published settings: nested keys, lists, numbers, words.

Other syntax (anchors, tags, multi-line text) is an error that names the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vitruve.errors import BadData

_CONSTANTS = {"": None, "~": None, "null": None, "true": True, "false": False, "yes": True, "no": False}
_KEY = re.compile(r"""^(?:"([^"]*)"|'([^']*)'|([\w.\-]+))\s*:(?:\s+(.*))?$""")
# A line up to its comment; "#" in quotes or inside a word does not begin one.
_NO_COMMENT = re.compile(r"""(?:"[^"]*"|'[^']*'|(?<=\S)['"#]|[^'"#])*""")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass
class _Line:
    number: int
    indent: int
    text: str


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """The nested keys of a file; a key without a value has None. `where` names the file in errors."""
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        end = _NO_COMMENT.match(raw).end()  # type: ignore[union-attr]  # it matches everything
        content = (raw[:end] if raw[end : end + 1] == "#" else raw).rstrip()
        if not content.strip() or content in ("---", "..."):
            continue
        indent = len(content) - len(content.lstrip(" "))
        if content[indent] == "\t":
            raise _wrong(where, number, "a tab is used for indentation")
        lines.append(_Line(number, indent, content[indent:]))
    values, rest = _block(lines, where)
    if rest or not isinstance(values, dict):
        raise _wrong(where, rest[0].number if rest else 1, "a key is not allowed at this depth")
    return values


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The innermost keys with their values, without the keys above them."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value) if isinstance(value, Mapping) else {} if value is None else {key: value}
    return out


def _block(lines: list[_Line], where: str) -> tuple[Any, list[_Line]]:
    """The mapping or list that begins at the first line, and the remaining lines."""
    if not lines:
        return {}, []
    indent = lines[0].indent
    items: list[Any] = []
    if lines[0].text.startswith("- "):
        while lines and lines[0].indent == indent and lines[0].text.startswith("- "):
            items.append(_scalar(lines[0].text[2:].strip(), where, lines[0].number))
            lines = lines[1:]
        return items, lines
    out: dict[str, Any] = {}
    while lines and lines[0].indent == indent:
        line, lines = lines[0], lines[1:]
        match = _KEY.match(line.text)
        if match is None:
            raise _wrong(where, line.number, f"not 'key: value': {line.text[:60]}")
        key = next(part for part in match.groups()[:3] if part is not None)
        if key in out:
            raise _wrong(where, line.number, f"'{key}' is a duplicate key")
        value = (match[4] or "").strip()
        below = lines and (lines[0].indent > indent or (lines[0].indent == indent and lines[0].text.startswith("- ")))
        if not value and below:
            out[key], lines = _block(lines, where)
        else:
            out[key] = _scalar(value, where, line.number)
    if lines and lines[0].indent > indent:
        raise _wrong(where, lines[0].number, "unexpected indentation")
    return out, lines


def _scalar(text: str, where: str, number: int) -> Any:
    if text in ("{}", "[]"):
        return None if text == "{}" else []
    if text[:1] == "[" and text[-1:] == "]":
        return [_scalar(part.strip(), where, number) for part in text[1:-1].split(",")]
    if text[:1] in ("'", '"'):
        if len(text) < 2 or text[-1] != text[0]:
            raise _wrong(where, number, f"unterminated quote: {text[:60]}")
        return text[1:-1]
    if text[:1] in tuple("&*!|>{[%@`") or text.endswith("]"):
        raise _wrong(where, number, f"unsupported syntax: {text[:60]}")
    if text.lower() in _CONSTANTS:
        return _CONSTANTS[text.lower()]
    if _NUMBER.fullmatch(text):
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    return text


def _wrong(where: str, number: int, what: str) -> BadData:
    return BadData("the settings are invalid", where=f"{where}, line {number}: {what}", fix="correct the line")
