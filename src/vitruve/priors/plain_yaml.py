"""The plain part of YAML that settings of published trainings are written in: nested keys, lists, numbers, words.

What goes beyond (anchors, tags, text over several lines) is an error that names the line.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from vitruve.errors import BadData

_WORDS = {"": None, "~": None, "null": None, "true": True, "false": False, "yes": True, "no": False}
_KEY = re.compile(r"""^(?:"([^"]*)"|'([^']*)'|([\w.\-]+))\s*:(?:\s+(.*))?$""")
# Up to a remark: quotations whole, and signs inside a word.
_NO_REMARK = re.compile(r"""(?:"[^"]*"|'[^']*'|(?<=\S)['"#]|[^'"#])*""")
_NUMBER = re.compile(r"[-+]?(\d+\.?\d*|\.\d+)([eE][-+]?\d+)?")


@dataclass
class _Line:
    number: int
    indent: int
    text: str


def read_yaml(text: str, where: str) -> dict[str, Any]:
    """The keys of a file, nested; None where a key has no value.

    Args:
        text: its content.
        where: its name, for errors.
    """
    lines = []
    for number, raw in enumerate(text.splitlines(), 1):
        content = _without_remark(raw)
        if not content.strip() or content in ("---", "..."):
            continue
        indent = len(content) - len(content.lstrip(" "))
        if content[indent] == "\t":
            raise _wrong(where, number, "a tab stands where blanks should")
        lines.append(_Line(number, indent, content[indent:]))
    values, rest = _block(lines, where)
    if rest or not isinstance(values, dict):
        raise _wrong(where, rest[0].number if rest else 1, "no key of this depth can stand here")
    return values


def flat(values: Mapping[str, Any]) -> dict[str, Any]:
    """The innermost keys with their values, whatever they are nested in."""
    out: dict[str, Any] = {}
    for key, value in values.items():
        out |= flat(value) if isinstance(value, Mapping) else {} if value is None else {key: value}
    return out


def _without_remark(line: str) -> str:
    end = _NO_REMARK.match(line).end()  # type: ignore[union-attr]  # it matches nothing, too
    return (line[:end] if line[end : end + 1] == "#" else line).rstrip()


def _block(lines: list[_Line], where: str) -> tuple[Any, list[_Line]]:
    """The mapping or list that begins with the first line, and the lines behind it."""
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
        found = _KEY.match(line.text)
        if found is None:
            raise _wrong(where, line.number, f"no 'key: value': {line.text[:60]}")
        key = next(part for part in found.groups()[:3] if part is not None)
        if key in out:
            raise _wrong(where, line.number, f"'{key}' stands there twice")
        value = (found[4] or "").strip()
        below = lines and (lines[0].indent > indent or (lines[0].indent == indent and lines[0].text.startswith("- ")))
        if not value and below:
            out[key], lines = _block(lines, where)
        else:
            out[key] = _scalar(value, where, line.number)
    if lines and lines[0].indent > indent:
        raise _wrong(where, lines[0].number, "the line is indented, and nothing above it asks for that")
    return out, lines


def _scalar(text: str, where: str, number: int) -> Any:
    if text in ("{}", "[]"):
        return None if text == "{}" else []
    if text[:1] == "[" and text[-1:] == "]":
        return [_scalar(part.strip(), where, number) for part in text[1:-1].split(",")]
    if text[:1] in ("'", '"'):
        if len(text) < 2 or text[-1] != text[0]:
            raise _wrong(where, number, f"a quotation does not end: {text[:60]}")
        return text[1:-1]
    if text[:1] in tuple("&*!|>{[%@`") or text.endswith("]"):
        raise _wrong(where, number, f"this is not read: {text[:60]}")
    if text.lower() in _WORDS:
        return _WORDS[text.lower()]
    if _NUMBER.fullmatch(text):
        return float(text) if any(sign in text for sign in ".eE") else int(text)
    return text


def _wrong(where: str, number: int, what: str) -> BadData:
    return BadData("the settings are broken", where=f"{where}, line {number}: {what}", fix="mend the line")
