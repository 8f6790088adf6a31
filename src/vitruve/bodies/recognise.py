"""Recognise the body of a mesh without parameters, and check the order of its vertices.

Several bodies have the same number of vertices, so the faces decide. The lengths of the body's edges show whether the
vertex order is right: if vertices were merged or sorted, edges run right across the body.
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
# Vertices and faces of the licensed meshes, whose files may be missing.
_COUNTS = {"smplh": 6890, "smpl": 6890, "smplx": 10475, "mano": 778}
LICENSED = {"SMPL or SMPL+H": (6890, 13776), "SMPL-X": (10475, 20908), "MANO": (778, 1538)}
# An edge is torn if it exceeds its rest length by this factor and by this many metres; no pose or shape does that.
_TIMES, _PLUS = 4.0, 0.03
# A body has no torn edges; broken frames may have a few, which the fit reports.
_TORN = 0.05
# Largest size ratio, either way, between a mesh in metres and the body at rest.
_SIZES = (0.05, 10.0)
_FRAMES_AT_A_TIME = 64


def recognise(
    vertices: Float[Tensor, "frames vertices 3"],
    faces: Int[Tensor, "faces 3"],
    *,
    folder: str | Path | None = None,
    where: str = "",
) -> BodyModel:
    """The body of a mesh: the neutral one, or a hand.

    Args:
        faces: of the files; for a point cloud they are empty, and the edge lengths alone decide.
        folder: searched for licensed bodies before the usual places.
        where: the file or folder, for errors.

    Raises:
        BadData: no body has that many vertices, or the vertices are in another order.
        MissingAsset: the mesh is of a licensed body whose file is missing.
    """
    count, sample = vertices.shape[1], _sample(vertices)
    known = [body for body in _bodies_of(count, folder) if body.num_vertices == count]
    alike = [body for body in known if _same_faces(body.faces, faces)]
    if alike:
        # A left and a right hand may differ only in the winding of their faces, which a file may have flipped.
        return next((body for body in alike if _volume(sample, body) > 0), alike[0])
    licensed = next((name for name, counts in LICENSED.items() if counts == (count, len(faces))), None)
    torn = [float(torn_share(sample, body).min()) for body in known]
    if known and min(torn) <= _TORN:
        return known[torn.index(min(torn))]
    if licensed and all(body.name.startswith("open-") for body in known):
        raise MissingAsset(
            f"the meshes have the counts of {licensed}, but no such body was found",
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
    """The share of torn edges in each frame; raises if a frame cannot be that body.

    Vertices are in metres; non-finite ones are ignored. `names` are the files of the frames, for errors.
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
    """The share (0 to 1) of the body's edges that are far longer in each mesh than on the body at rest."""
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
    """The available bodies with that many vertices; licensed ones first, one per layout."""
    found = sorted(find_bodies(folder), key=lambda name: (not name.endswith("-neutral"), name))
    names = []
    for layout in (layout for layout, vertices in _COUNTS.items() if vertices == count):
        licensed = [name for name in found if name.startswith(f"{layout}-")]
        names += licensed if layout == "mano" else licensed[:1]
    names += [name for name in OPEN if _COUNTS[name.split("-")[1]] == count]
    return [load_body(name, folder=folder) for name in names]


def _same_faces(ours: Tensor, theirs: Tensor) -> bool:
    """Whether the triangles are the same, in any order and winding."""
    if ours.shape != theirs.shape:
        return False
    if torch.equal(ours, theirs):
        return True
    return torch.equal(ours.sort(1).values.unique(dim=0), theirs.sort(1).values.unique(dim=0))


def _volume(vertices: Tensor, body: BodyModel) -> float:
    """The signed volume inside the body's faces in the first complete mesh; negative if they face inwards."""
    complete = vertices[vertices.flatten(1).isfinite().all(1)][:1]
    centred = complete - complete.mean(1, keepdim=True)
    a, b, c = centred[:, body.faces].unbind(2)
    return float((torch.linalg.cross(a, b) * c).sum())


def _edges(faces: Tensor) -> Tensor:
    pairs = torch.cat([faces[:, [0, 1]], faces[:, [1, 2]], faces[:, [2, 0]]])
    return pairs.sort(1).values.unique(dim=0)


def _size(vertices: Tensor) -> Tensor:
    """[frames]: the diagonal of the bounding box of the finite vertices, which hardly depends on the pose."""
    there = vertices.isfinite().all(-1, keepdim=True)
    low = vertices.masked_fill(~there, torch.inf).amin(1)
    high = vertices.masked_fill(~there, -torch.inf).amax(1)
    size = (high - low).norm(dim=-1)
    # A frame without vertices has no size to check; the fit masks it.
    return torch.where(there.any(1)[:, 0], size, torch.nan)


def _sample(vertices: Tensor, most: int = 8) -> Tensor:
    """A few complete frames; the first ones if none is complete."""
    complete = vertices[:: max(1, len(vertices) // 64)]
    complete = complete[complete.flatten(1).isfinite().all(1)]
    return complete[:: max(1, len(complete) // most)][:most] if len(complete) else vertices[:most]


def _check_count(vertices: Tensor, body: BodyModel, names: Sequence[str | Path]) -> None:
    if vertices.dim() != 3 or vertices.shape[1:] != (body.num_vertices, 3):
        raise BadData(
            f"the meshes are not of '{body.name}'",
            where=f"{_at(names, 0)}: shape {tuple(vertices.shape)}, expected [frames, {body.num_vertices}, 3]",
            fix="omit `topology` to have it recognised, or name the body that the meshes were made with",
        )


def _other_order(body: BodyModel, torn: float, where: str) -> BadData:
    return BadData(
        f"the meshes have as many vertices as '{body.name}', but in another order",
        where=f"{where}: {100 * torn:.0f} % of the body's edges run right across the mesh",
        fix="export the meshes without merging or sorting vertices (trimesh: process=False)",
    )


def _at(names: Sequence[str | Path], frame: int) -> str:
    return f"frame {frame}, {names[frame]}" if frame < len(names) else f"frame {frame}"
