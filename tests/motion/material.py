"""Motions and bodies for the tests of editing and features."""

from __future__ import annotations

import torch
from hypothesis import strategies as st

from tests.material import small_motion
from vitruve.bodies import BodyModel
from vitruve.motion import Motion
from vitruve.skeletons import Skeleton, load_skeleton

seeds = st.integers(0, 10_000)
rates = st.sampled_from([20.0, 24.0, 25.0, 29.97, 30.0, 50.0, 60.0, 100.0, 120.0, 120.00004577636719])


def biped(lateral: int = 0) -> Skeleton:
    """A plain tree with rest positions, left and right apart along the given axis."""
    rest = torch.tensor(
        [[0, 1.0, 0], [0.1, 0.95, 0], [-0.1, 0.95, 0], [0.1, 0.1, 0], [-0.12, 0.1, 0.02], [0, 1.4, 0.03]],
        dtype=torch.float64,
    ).roll(lateral, -1)
    return Skeleton(
        name="biped",
        names=("pelvis", "left_hip", "right_hip", "left_ankle", "right_ankle", "neck"),
        parents=(-1, 0, 0, 1, 2, 0),
        pairs=((1, 2), (3, 4)),
        root=(0,),
        rest=rest,
    )


def tree_motion(seed: int = 0, frames: int = 15, lateral: int = 0) -> Motion:
    """A smooth random motion on the plain tree, with moving bones."""
    skeleton = biped(lateral)
    turned = small_motion(frames=frames, seed=seed).rotations[:, : len(skeleton)]
    return Motion(
        rotations=turned,
        translation=torch.linspace(0, 1, 3 * frames, dtype=torch.float64).view(frames, 3),
        fps=30.0,
        skeleton=skeleton,
    )


def standing_tree(frames: int = 30, height: float = 0.0, fps: float = 30.0) -> Motion:
    """The plain tree at rest, upright in a z-up world, facing +x, its lower ankle `height` above the ground."""
    skeleton = biped()
    # Rest is y up and faces +z: the columns say where its x, y and z go.
    upright = torch.tensor([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=torch.float64)
    rotations = torch.eye(3, dtype=torch.float64).expand(frames, len(skeleton), 3, 3).clone()
    rotations[:, 0] = upright
    motion = Motion(
        rotations=rotations, translation=torch.zeros(frames, 3, dtype=torch.float64), fps=fps, skeleton=skeleton
    )
    motion.translation[:, 2] += height - motion.joints()[0, :, 2].min()
    return motion


def gappy(motion: Motion, *gaps: tuple[int, int]) -> Motion:
    """The motion with frames from start up to stop marked invalid and full of NaN."""
    mask = torch.ones(len(motion), dtype=torch.bool)
    for start, stop in gaps:
        mask[start:stop] = False
    rotations, translation = motion.rotations.clone(), motion.translation.clone()
    rotations[~mask] = torch.nan
    translation[~mask] = torch.nan
    return motion.replace(rotations=rotations, translation=translation, mask=mask)


def symmetric_body(seed: int = 0) -> BodyModel:
    """A random SMPL+H-like body of which the right half is the mirror image of the left."""
    generator = torch.Generator().manual_seed(seed)
    skeleton = load_skeleton("smplh52")
    half, flip = 80, list(skeleton.flip)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    def both_sides(values: torch.Tensor) -> torch.Tensor:
        """[half, joints] weights of the left vertices, made symmetric."""
        return torch.cat([values, values[:, flip]])

    sign = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)
    left = random(half, 3) * 0.5
    basis = random(half, 3, 10) * 0.02
    regressor = both_sides(random(half, len(skeleton))).softmax(0).T
    return BodyModel(
        name="symmetric",
        layout="smplh",
        gender="neutral",
        skeleton=skeleton,
        template=torch.cat([left, left * sign]),
        shape_basis=torch.cat([basis, basis * sign[:, None]]),
        joint_regressor=regressor,
        skin_weights=both_sides(random(half, len(skeleton)).softmax(-1)),
        faces=torch.zeros(1, 3, dtype=torch.long),
    )
