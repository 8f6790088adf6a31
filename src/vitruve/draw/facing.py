"""Where a body faces, told by its joints, or by the skin of meshes of a known body."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from vitruve.draw.framing import facing_deg
from vitruve.draw.scene import Actor


def limbs_facing_deg(actor: Actor, own: Sequence[int]) -> float:
    """Which way an actor faces on the whole in some of its own frames, see `facing_deg`; 0 where it has no joints."""
    performer = actor.performer
    if performer.kind != "meshes":
        return 0.0 if performer.skeleton is None else facing_deg(actor.joint_positions(own), performer.skeleton)
    body = performer.body
    if body is None:
        return 0.0
    # Meshes of a known body: the middle of the skin that a joint moves stands for the joint.
    main, vertices = body.skin_weights.argmax(1), actor.vertices(own).double()
    points = torch.full((len(vertices), body.num_joints, 3), torch.nan, dtype=torch.float64)
    for joint in {joint for pair in body.skeleton.pairs for joint in pair} & set(main.tolist()):
        points[:, joint] = vertices[:, main == joint].mean(1)
    return facing_deg(points, body.skeleton)
