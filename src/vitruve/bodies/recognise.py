"""Which body a mesh without parameters is of, and whether its vertices stand in that body's order.

    body = recognise(vertices, faces)            # one of the bodies at hand, or an error that says why none
    check_order(vertices, body)                  # an error if a frame cannot be that body

Bodies are told apart by their faces: several share a number of vertices. The order of the vertices is judged by the
lengths of the body's edges: where vertices were merged or sorted on the way, edges run right across the body.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import torch
from jaxtyping import Float, Int
from torch import Tensor

from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.catalogue import find_bodies
from vitruve.errors import BadData, MissingAsset

OPEN = ("open-smplh-neutral", "open-smplx-neutral", "open-mano-left", "open-mano-right")
# Vertices of each layout, and vertices and faces of the licensed meshes, whose files may not be there.
_COUNTS = {"smplh": 6890, "smpl": 6890, "smplx": 10475, "mano": 778}
LICENSED = {"SMPL or SMPL+H": (6890, 13776), "SMPL-X": (10475, 20908), "MANO": (778, 1538)}
# An edge is torn if it is this many times its length at rest and so many metres more; no pose and no shape does that.
_TIMES, _PLUS = 4.0, 0.03
# A body has no torn edges; a few are left to broken frames, which the fit reports by itself.
_TORN = 0.05
# How many times larger or smaller than the body at rest a mesh in metres can be.
_SIZES = (0.05, 10.0)
_FRAMES_AT_A_TIME = 64


def recognise(
    vertices: Float[Tensor, "frames vertices 3"],
    faces: Int[Tensor, "faces 3"],
    *,
    folder: str | Path | None = None,
    where: str = "",
) -> BodyModel:
    """The body whose mesh this is: the neutral one, or a hand.

    Args:
        vertices: in the order of the files.
        faces: as in the files; may be empty (a point cloud), then the edges decide alone.
        folder: where licensed bodies lie, before the usual places.
        where: the file or folder, for errors.

    Raises:
        BadData: no body has so many vertices, or their order is not that of the body.
        MissingAsset: it is the mesh of a licensed body, and that body is not there.
    """
    count, sample = vertices.shape[1], _sample(vertices)
    known = [body for body in _bodies_of(count, folder) if body.num_vertices == count]
    alike = [body for body in known if _same_faces(body.faces, faces)]
    if alike:
        # A left and a right hand may differ in nothing but the sense of their faces, which a file may have turned.
        return next((body for body in alike if _volume(sample, body) > 0), alike[0])
    licensed = next((name for name, counts in LICENSED.items() if counts == (count, len(faces))), None)
    torn = [float(torn_share(sample, body).min()) for body in known]
    if known and min(torn) <= _TORN:
        return known[torn.index(min(torn))]
    if licensed and all(body.name.startswith("open-") for body in known):
        raise MissingAsset(
            f"these are meshes of {licensed}, or of a body that shares its counts, and no such body was found",
            where=f"{where}: {count} vertices, {len(faces)} faces",
            fix="put the licensed model where `vitruve doctor` looks, or name the body: topology='smplx'",
        )
    if known:
        raise _other_order(known[torn.index(min(torn))], min(torn), where)
    counts = ", ".join(f"{counts[0]} ({name})" for name, counts in LICENSED.items())
    raise BadData(
        f"no known body has {count} vertices",
        where=f"{where}: {count} vertices, {len(faces)} faces; known are {counts}",
        fix="export the meshes without merging or adding vertices, or name the body: topology='my_body.npz'",
    )


def check_order(
    vertices: Float[Tensor, "frames vertices 3"], body: BodyModel, names: Sequence[str | Path] = ()
) -> Float[Tensor, "frames"]:
    """The share of torn edges in each frame; an error where a frame cannot be that body.

    Args:
        vertices: [frames, vertices, 3] metres; those that are not finite are left out.
        body: what the meshes are taken for.
        names: the file of each frame, for errors.
    """
    _check_count(vertices, body, names)
    sizes = _size(vertices) / _size(body.template[None])[0]
    odd = (sizes < _SIZES[0]) | (sizes > _SIZES[1])
    if odd.any():
        frame = int(odd.nonzero()[0, 0])
        raise BadData(
            f"a mesh is {float(sizes[frame]):.3g} times as large as '{body.name}'",
            where=_at(names, frame),
            fix="meshes are read in metres: multiply millimetres by 0.001 and centimetres by 0.01",
        )
    torn = torn_share(vertices, body)
    worst = int(torn.argmax())
    if torn[worst] > _TORN:
        raise _other_order(body, float(torn[worst]), _at(names, worst))
    return torn


def torn_share(vertices: Float[Tensor, "frames vertices 3"], body: BodyModel) -> Float[Tensor, "frames"]:
    """How many of the body's edges, of 1, are far longer in these meshes than on the body at rest."""
    first, second = _edges(body.faces).unbind(1)
    longest = _TIMES * (body.template[first] - body.template[second]).norm(dim=1) + _PLUS
    shares = []
    for part in vertices.split(_FRAMES_AT_A_TIME):
        length = (part[:, first] - part[:, second]).norm(dim=-1)
        there = length.isfinite()
        torn = there & (length > longest.to(length))
        shares.append(torn.sum(1).to(length) / there.sum(1).clamp_min(1))
    return torch.cat(shares)


def _bodies_of(count: int, folder: str | Path | None) -> list[BodyModel]:
    """The bodies at hand that may have so many vertices; licensed ones first, one of each layout."""
    found = sorted(find_bodies(folder), key=lambda name: (not name.endswith("-neutral"), name))
    names = []
    for layout in (layout for layout, vertices in _COUNTS.items() if vertices == count):
        licensed = [name for name in found if name.startswith(f"{layout}-")]
        names += licensed if layout == "mano" else licensed[:1]
    names += [name for name in OPEN if _COUNTS[name.split("-")[1]] == count]
    return [load_body(name, folder=folder) for name in names]


def _same_faces(ours: Tensor, theirs: Tensor) -> bool:
    """The same triangles, in whatever order and sense."""
    if ours.shape != theirs.shape:
        return False
    if torch.equal(ours, theirs):
        return True
    return torch.equal(ours.sort(1).values.unique(dim=0), theirs.sort(1).values.unique(dim=0))


def _volume(vertices: Tensor, body: BodyModel) -> float:
    """What the body's faces enclose in the first of some meshes; negative where they look inwards."""
    whole = vertices[vertices.flatten(1).isfinite().all(1)][:1]
    centred = whole - whole.mean(1, keepdim=True)
    a, b, c = centred[:, body.faces].unbind(2)
    return float((torch.linalg.cross(a, b) * c).sum())


def _edges(faces: Tensor) -> Tensor:
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return pairs.sort(1).values.unique(dim=0)


def _size(vertices: Tensor) -> Tensor:
    """[frames]: the diagonal of the box round the finite vertices; that of the rest pose hardly depends on the pose."""
    there = vertices.isfinite().all(-1, keepdim=True)
    low = vertices.masked_fill(~there, torch.inf).amin(1)
    high = vertices.masked_fill(~there, -torch.inf).amax(1)
    size = (high - low).norm(dim=-1)
    # A frame without vertices has no size to complain about; the fit masks it.
    return torch.where(there.any(1)[:, 0], size, torch.nan)


def _sample(vertices: Tensor, most: int = 8) -> Tensor:
    """A few frames that have all their vertices, or the first ones where there are none."""
    whole = vertices[:: max(1, len(vertices) // 64)]
    whole = whole[whole.flatten(1).isfinite().all(1)]
    return whole[:: max(1, len(whole) // most)][:most] if len(whole) else vertices[:most]


def _check_count(vertices: Tensor, body: BodyModel, names: Sequence[str | Path]) -> None:
    if vertices.dim() != 3 or vertices.shape[1:] != (body.num_vertices, 3):
        raise BadData(
            f"these are not meshes of '{body.name}'",
            where=f"{_at(names, 0)}: shape {tuple(vertices.shape)}, expected [frames, {body.num_vertices}, 3]",
            fix="leave `topology` out to have it recognised, or name the body that the meshes were made with",
        )


def _other_order(body: BodyModel, torn: float, where: str) -> BadData:
    return BadData(
        f"the vertices are as many as those of '{body.name}', but in another order",
        where=f"{where}: {100 * torn:.0f} % of the body's edges run right across the mesh",
        fix="export the meshes without merging or sorting vertices (trimesh: process=False)",
    )


def _at(names: Sequence[str | Path], frame: int) -> str:
    return f"frame {frame}, {names[frame]}" if frame < len(names) else f"frame {frame}"
