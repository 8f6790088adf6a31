"""Licences and citations of what a result was made with, from credits.toml: the blocks at the end of a page.

blocks += credits(["open-smplh-neutral", "smplx-female"], also=["amass"])
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from vitruve.errors import UsageError, nearest
from vitruve.report.blocks import Block, Heading, Note, Table


@dataclass(frozen=True)
class Credit:
    """The work of somebody else.

    Attributes:
        licence: the terms in one line; those that came with the file are binding.
        authors, title, venue, year: what to cite; no title where no citation is asked for.
        key: of the BibTeX entry.
    """

    name: str
    licence: str
    authors: str = ""
    title: str = ""
    venue: str = ""
    year: int = 0
    key: str = ""

    @property
    def citation(self) -> str:
        """One line of text; empty without a title."""
        if not self.title:
            return ""
        names = self.authors.split(" and ")
        shown = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        return f"{shown}. {self.title}. {self.venue}{f', {self.year}' if self.year else ''}."

    @property
    def bibtex(self) -> str:
        """An entry for a bibliography; empty without a title."""
        if not self.title:
            return ""
        fields = {"title": f"{{{self.title}}}", "author": self.authors, "howpublished": self.venue, "year": self.year}
        lines = [f"  {field} = {{{value}}}," for field, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


_TABLE = tomllib.loads(Path(__file__).with_name("credits.toml").read_text(encoding="utf-8"))
CREDITS: dict[str, Credit] = {key: Credit(**row) for key, row in _TABLE.items()}

# Data sets that usually use a joint tree.
_OF_SKELETON = {"cmu31": "cmu", "bandai_namco22": "bandai-namco"}


def credits(bodies: Iterable[str] = (), also: Iterable[str] = (), likely: Iterable[str] = ()) -> list[Block]:
    """The blocks at the end of a page.

    Args:
        bodies: names or files of the bodies that were used.
        also: keys of `CREDITS` for everything else that was used.
        likely: keys of what the inputs probably are, although they do not state it.

    Raises:
        UsageError: a key is not in the table.
    """
    used: dict[Credit, list[str]] = {}
    for name in bodies:
        credit = CREDITS.get(_body_key(name), Credit(name, "see the terms that the file came with"))
        used.setdefault(credit, []).append(f"body {name}")
    for keys, suffix in ((also, ""), (likely, ", if they are")):
        for credit in map(_credit, keys):
            used.setdefault(credit, []).append(f"{credit.name}{suffix}")
    rows = [(", ".join(dict.fromkeys(names)), credit.licence, credit.citation) for credit, names in used.items()]
    rows.append(("the motions", "keep the licence of their files", ""))
    blocks: list[Block] = [Heading("Licences and citations"), Table(("what", "licence", "cite"), rows)]
    entries = list(dict.fromkeys(credit.bibtex for credit in used if credit.bibtex))
    return [*blocks, Note("\n\n".join(entries), "code")] if entries else blocks


def likely_sources(skeletons: Iterable[str], layouts: Iterable[str] = ()) -> list[str]:
    """Keys of the data sets that use these joint trees, or these layouts of the bodies of AMASS-like files."""
    found = [_OF_SKELETON[name] for name in skeletons if name in _OF_SKELETON]
    return list(dict.fromkeys([*found, *("amass" for layout in layouts if layout in ("smplh", "smplx"))]))


def _credit(key: str) -> Credit:
    if key not in CREDITS:
        raise UsageError(f"there is no credit '{key}'", where="credits", fix=nearest(key, CREDITS))
    return CREDITS[key]


def _body_key(name: str) -> str:
    """The key of a body, by its name or its file name."""
    if name.startswith("open-"):
        return "open-body"
    words = re.split(r"[^a-z]+", re.split(r"[/\\]", name.lower())[-1])
    return next((layout for layout in ("smplx", "smplh", "mano", "smpl") if layout in words), "")
