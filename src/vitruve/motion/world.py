"""Place a motion in the world: turn it, move it, put it on the ground, start it at the origin.

`translation` is added to the root's rest position, which depends on the body's shape. So turning the world needs the
body, or the rest positions of a plain tree; moving it does not.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies.body_model import BodyModel
from vitruve.errors import BadData, UsageError, nearest
from vitruve.geometry.rotations import rotation_about, rotation_between, rotation_error
from vitruve.motion.features import FOOT_JOINTS, foot_contacts, heading
from vitruve.motion.motion import Motion

GROUND_METHODS = ("lowest_vertex", "lowest_joint", "contacts")
_AXES = {"x": (1, 0, 0), "y": (0, 1, 0), "z": (0, 0, 1), "-x": (-1, 0, 0), "-y": (0, -1, 0), "-z": (0, 0, -1)}


def rotate_world(
    motion: Motion,
    rotation: Float[Tensor, "3 3"],
    body: BodyModel | None = None,
    about: Float[Tensor, "3"] | None = None,
) -> Motion:
    """Turn the whole world: every joint at p moves to `rotation` (p - about) + about.

    Args:
        body: the body of the motion; not needed for a plain tree with rest positions.
        about: the fixed point, metres; the origin by default.
    """
    rotation = rotation.to(motion.rotations)
    if float(rotation_error(rotation)) > 1e-3:
        raise UsageError("the matrix is not a rotation", where=f"got {rotation.tolist()}", fix="check the matrix")
    root = root_at_rest(motion, body)
    centre = torch.zeros(3).to(root) if about is None else about.to(root)
    turned = (root + motion.translation - centre) @ rotation.T + centre
    return motion.edited(
        "world turned",
        rotations=torch.cat([rotation @ motion.rotations[:, :1], motion.rotations[:, 1:]], 1),
        translation=turned - root,
    )


def translate_world(motion: Motion, offset: Float[Tensor, "3"]) -> Motion:
    """Move everything by `offset` metres."""
    return motion.edited("world moved", translation=motion.translation + offset.to(motion.translation))


def change_up_axis(motion: Motion, start: str, end: str = "z", body: BodyModel | None = None) -> Motion:
    """Turn a world whose up axis is `start` so that `end` is up, by the smallest rotation.

    The axes are "x", "y", "z", "-x", "-y" and "-z". From "y" to "z" this keeps x. For a camera's world, in which y
    points down, `start` is "-y". A motion on a body needs the body, as in `rotate_world`.
    """
    for axis in (start, end):
        if axis not in _AXES:
            raise UsageError(f"'{axis}' is not an axis", fix=nearest(axis, _AXES))
    up = torch.tensor([_AXES[start], _AXES[end]], dtype=torch.float64)
    return rotate_world(motion, rotation_between(up[0], up[1]).round(), body)


def put_on_ground(
    motion: Motion,
    body: BodyModel | None = None,
    method: str = "lowest_vertex",
    chunk: int = 256,
    joints: Sequence[str] = FOOT_JOINTS,
) -> Motion:
    """Move the clip vertically so that the ground is at z = 0. One offset for the whole clip: jumps stay jumps.

    Args:
        body: the body of the motion; optional for plain trees with rest positions, except for "lowest_vertex".
        method: "lowest_vertex" puts the lowest vertex of all frames at 0; "lowest_joint" the lowest joint; "contacts"
            the median, over the frames with a foot contact, of the lowest vertex (without a body: of the lowest joint),
            which is robust to a few bad frames.
        chunk: number of frames whose vertices are held at a time.
        joints: names of the foot joints for "contacts".
    """
    if method not in GROUND_METHODS:
        raise UsageError(f"unknown ground method '{method}'", fix=nearest(method, GROUND_METHODS))
    if method == "lowest_vertex" and body is None:
        raise UsageError("the lowest vertex needs a body", where="body is None", fix="pass it, or use 'lowest_joint'")
    use = torch.ones(len(motion), dtype=torch.bool) if motion.mask is None else motion.mask.cpu()
    if not bool(use.any()):
        raise BadData("no frame is valid", where="motion.mask", fix="check the mask")
    if method == "contacts":
        heights = lowest_joints(motion) if body is None else lowest_vertices(motion, body, chunk)
        # The ground is still unknown: use the lowest tenth of the clip as a first estimate.
        ground = float(heights[use].quantile(0.1))
        use &= foot_contacts(motion, body, ground=ground, joints=joints).any(1).cpu()
    elif method == "lowest_vertex" and body is not None:
        heights = lowest_vertices(motion, body, chunk)
    else:
        heights = lowest_joints(motion, body)
    if not bool(use.any()):
        raise BadData("no frame has a foot contact", where="method 'contacts'", fix="use 'lowest_vertex'")
    level = heights[use].median() if method == "contacts" else heights[use].min()
    moved = motion.translation - torch.tensor([0, 0, 1]).to(motion.translation) * level.to(motion.translation)
    return motion.edited(f"put on the ground by {method}: moved by {-float(level):.3f} m", translation=moved)


def start_at_origin(motion: Motion, body: BodyModel | None = None, facing: float = 0.0) -> Motion:
    """Turn and move the clip so that in its first valid frame the root is above the origin and the heading is `facing`.

    Heights stay. This makes takes of the same movement comparable. `facing` is in radians about z from +x.
    """
    angles = heading(motion, body)
    known = (~angles.isnan()).nonzero()[:, 0]
    if len(known) == 0:
        raise BadData("the heading is unknown in every frame", where="heading", fix="use rotate_world with an angle")
    first = int(known[0])
    turned = rotate_world(motion, rotation_about("Z", facing - angles[first]), body)
    root = root_at_rest(turned, body) + turned.translation
    flat = torch.tensor([1, 1, 0]).to(root)
    return motion.edited(
        f"started at the origin, facing {math.degrees(facing):g} degrees",
        rotations=turned.rotations,
        translation=turned.translation - flat * root[first],
    )


def root_at_rest(motion: Motion, body: BodyModel | None = None) -> Tensor:
    """The root's rest position: [3], or [frames, 3] if the expression moves it."""
    if body is None:
        return motion.rest_joints()[0]
    return motion.shaped(body).rest_joints[..., 0, :].to(motion.translation)


def lowest_vertices(motion: Motion, body: BodyModel, chunk: int = 256) -> Float[Tensor, "frames"]:
    """The height of each frame's lowest vertex, metres; computed `chunk` frames at a time."""
    parts = [motion[start : start + chunk] for start in range(0, len(motion), chunk)]
    return torch.cat([part.vertices(body)[..., 2].amin(1) for part in parts]).cpu()


def lowest_joints(motion: Motion, body: BodyModel | None = None) -> Float[Tensor, "frames"]:
    """The height of each frame's lowest joint, metres."""
    return motion.joints(body)[..., 2].amin(1).cpu()
