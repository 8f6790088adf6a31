"""The extra points that the smplx package appends to the joints: surface points, finger tips, face landmarks.

They are linear in the vertices, so one sparse regressor computes them all.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies.body_model import BodyModel, ShapedBody
from vitruve.errors import UsageError
from vitruve.skeletons import Skeleton, load_skeleton

# Vertices on the surface, in the order of the skeletons smplh73 and smplx127: nose, right and left eye, right and left
# ear; big toe, small toe, heel of the left foot, then of the right; then the finger tips from thumb to pinky, left hand
# first.
_SMPL = (332, 6260, 2800, 4071, 583, 3216, 3226, 3387, 6617, 6624, 6787)
_SMPL_TIPS = (2746, 2319, 2445, 2556, 2673, 6191, 5782, 5905, 6016, 6133)
_SMPLX = (9120, 9929, 9448, 616, 6, 5770, 5780, 8846, 8463, 8474, 8635)
_SMPLX_TIPS = (5361, 4933, 5058, 5169, 5286, 8079, 7669, 7794, 7905, 8022)
VERTEX_POINTS = {
    "smpl": (*_SMPL, *_SMPL_TIPS),
    "smplh": (*_SMPL, *_SMPL_TIPS),
    "smplx": (*_SMPLX, *_SMPLX_TIPS),
    "mano": (744, 320, 443, 554, 671),
}


def output_points(body: BodyModel) -> tuple[Skeleton, Float[Tensor, "points vertices"]]:
    """The extra points: (skeleton of joints and points together, sparse regressor of the points alone).

    SMPL has 24 + 21, SMPL+H 52 + 21, SMPL-X 55 + 21 + 51 face landmarks (if its file has them), a hand 16 + 5. The
    joints themselves are not linear in the posed vertices; `output_positions` returns both.
    """
    ids = torch.tensor(VERTEX_POINTS[body.layout])
    if int(ids.max()) >= body.num_vertices:
        raise UsageError(
            f"body '{body.name}' has no such surface points",
            where=f"vertex {int(ids.max())} is needed, the mesh has {body.num_vertices}",
            fix="use an official mesh or the open body",
        )
    corners, weights = ids[:, None], torch.ones(len(ids), 1, dtype=torch.float64)
    if body.landmarks is not None:
        faces, bary = (part.cpu() for part in body.landmarks)
        corners = torch.cat([corners.expand(-1, 3), body.faces.cpu()[faces]])
        weights = torch.cat([weights * torch.tensor([[1.0, 0, 0]]), bary.double()])
    places = torch.stack([torch.arange(len(corners))[:, None].expand_as(corners).flatten(), corners.flatten()])
    size = (len(corners), body.num_vertices)
    regressor = torch.sparse_coo_tensor(places, weights.flatten(), size, check_invariants=True).coalesce()
    regressor = regressor.to(dtype=body.dtype, device=body.device)
    return _skeleton(body, len(corners)), regressor


def output_positions(
    shaped: ShapedBody,
    rotations: Float[Tensor, "*batch joints 3 3"],
    translation: Float[Tensor, "*#batch 3"] | None = None,
    chunk: int | None = None,
) -> Float[Tensor, "*batch points 3"]:
    """Joints and extra points in metres, in the order of `output_points(body)[0]`; only a few vertices are posed."""
    _, regressor = output_points(shaped.body)
    joints = shaped.joints(rotations)
    points = torch.cat([joints, shaped.points(regressor, rotations, chunk=chunk)], -2)
    # Translation is added last, because a landmark's weights sum to one only within the precision of its file.
    return points if translation is None else points + translation.to(points)[..., None, :]


def _skeleton(body: BodyModel, points: int) -> Skeleton:
    """The skeleton with names: shipped for SMPL+H, SMPL-X and hands; SMPL gets its joints and the points of SMPL+H."""
    if body.layout == "mano":
        return load_skeleton("mano21")
    if body.layout == "smplx":
        whole, count = load_skeleton("smplx127"), body.num_joints + points
        return whole if len(whole) == count else whole.subset(whole.names[:count])
    whole = load_skeleton("smplh73")
    if body.layout == "smplh":
        return whole
    joints = body.skeleton
    extra, shift = whole.names[52:], len(joints) - 52
    pairs = (*joints.pairs, *((a + shift, b + shift) for a, b in whole.pairs if a >= 52))
    return Skeleton("smpl45", (*joints.names, *extra), pairs=pairs, edges=joints.edges, root=joints.root)
