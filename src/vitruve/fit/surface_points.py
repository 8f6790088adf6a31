"""Choose the surface points to fit, and group vertices by part of the body."""

from __future__ import annotations

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from vitruve.bodies import BodyModel

# Parts of the body by the joints that move them most; the first match wins.
GROUPS = {
    "hands": ("index", "middle", "pinky", "ring", "thumb", "hand", "wrist"),
    "head": ("head", "neck", "jaw", "eye"),
    "feet": ("foot", "ankle"),
    "legs": ("hip", "knee"),
    "arms": ("shoulder", "elbow"),
    "torso": ("pelvis", "spine", "collar"),
}


def fit_points(
    body: BodyModel, valid: Bool[Tensor, "vertices"], count: int = 600, least: int = 10
) -> tuple[Int[Tensor, "points"], Float[Tensor, "points"]]:
    """Points spread evenly over the skin of all joints, with at least `least` for small ones such as fingers.

    Args:
        body: the body to fit.
        valid: vertices that have a counterpart.
        count: approximate number of points.
        least: minimum number of points per joint.

    Returns:
        (vertex indices, weights with mean one): a weight is a point's share of the vertices around it.
    """
    main = body.skin_weights.argmax(1)
    total = int(valid.sum())
    chosen, weights = [], []
    for joint in main.unique().tolist():
        patch = ((main == joint) & valid).nonzero()[:, 0]
        if not len(patch):
            continue
        wanted = min(len(patch), max(least, round(count * len(patch) / total)))
        places = body.template[patch]
        picked = farthest_first(places, wanted)
        chosen.append(patch[picked])
        nearest = _squares(places[:, None], places[picked]).argmin(1)
        weights.append(torch.bincount(nearest, minlength=wanted).to(body.dtype))
    weight = torch.cat(weights)
    return torch.cat(chosen), weight / weight.mean()


def farthest_first(positions: Float[Tensor, "points dims"], count: int) -> Int[Tensor, "count"]:
    """Farthest-point sampling, from the most central point."""
    picked = [int(_squares(positions, positions.double().mean(0)).argmin())]
    distance = _squares(positions, positions[picked[0]])
    while len(picked) < count:
        picked.append(int(distance.argmax()))
        distance = torch.minimum(distance, _squares(positions, positions[picked[-1]]))
    return torch.tensor(picked, device=positions.device)


def _squares(a: Tensor, b: Tensor) -> Tensor:
    """Squared distances along the last axis, computed at higher precision.

    Many distances on a symmetric body are equal; rounding, which differs between processors, must not decide.
    """
    return (a.double() - b.double()).square().sum(-1).float()


def vertex_groups(body: BodyModel, vertices: Int[Tensor, "points"]) -> dict[str, Bool[Tensor, "points"]]:
    """Masks of the vertices of each part of the body; parts without vertices are omitted."""
    main = body.skin_weights[vertices].argmax(1).tolist()
    group_of_joint = [
        next((group for group, words in GROUPS.items() if any(word in name for word in words)), "torso")
        for name in body.skeleton.names
    ]
    groups = {group: torch.tensor([group_of_joint[joint] == group for joint in main]) for group in GROUPS}
    return {group: mask for group, mask in groups.items() if mask.any()}
