"""Material that several tests use, made by code: a small body, a motion; and where the open data sets lie."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
import torch

from vitruve.bodies import BodyModel
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.motion import Motion
from vitruve.skeletons import load_skeleton

LAYOUT_SKELETONS = {"smpl": "smpl24", "smplh": "smplh52", "smplx": "smplx55", "mano": "mano16"}


def shared_data(name: str) -> Path:
    """A folder of the open test data (VITRUVE_TEST_DATA, or ../shared/data beside the checkout); skips if absent."""
    root = Path(os.environ.get("VITRUVE_TEST_DATA", Path(__file__).parents[2] / "shared" / "data"))
    if not (root / name).exists():
        pytest.skip(f"the open data set '{name}' is not beside the checkout")
    return root / name


def small_body(layout: str = "smplx", vertices: int = 300, correctives: bool = True, seed: int = 0) -> BodyModel:
    """A random body with the true joint tree of a layout: right in every shape, cheap in every test. float64."""
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    skeleton = load_skeleton(LAYOUT_SKELETONS[layout])
    joints = len(skeleton)
    regressor = random(joints, vertices).softmax(-1)
    weights = (3 * random(vertices, joints)).softmax(-1)
    weights = weights * (weights >= weights.topk(4).values[:, -1:])
    return BodyModel(
        name=f"small-{layout}",
        layout=layout,
        gender="left" if layout == "mano" else "neutral",
        skeleton=skeleton,
        template=random(vertices, 3) * 0.5,
        shape_basis=random(vertices, 3, 10) * 0.02,
        expression_basis=random(vertices, 3, 10) * 0.005 if layout == "smplx" else None,
        pose_basis=random(9 * (joints - 1), 3 * vertices) * 0.002 if correctives else None,
        joint_regressor=regressor,
        skin_weights=weights / weights.sum(-1, keepdim=True),
        faces=torch.randint(vertices, (2 * vertices, 3), generator=generator),
    )


def small_motion(layout: str = "smplh", frames: int = 12, fps: float = 30.0, seed: int = 0) -> Motion:
    """A smooth random motion on the joint tree of a layout. float64."""
    generator = torch.Generator().manual_seed(seed)
    skeleton = load_skeleton(LAYOUT_SKELETONS[layout])
    phase = torch.linspace(0, 2, frames, dtype=torch.float64)[:, None, None]
    wave = torch.randn(1, len(skeleton), 3, generator=generator, dtype=torch.float64)
    axis_angle = 0.5 * torch.sin(phase + 3 * wave) * wave
    translation = torch.cat([phase[:, 0] * 0.5, torch.sin(phase[:, 0]), 0.9 + 0 * phase[:, 0]], -1)
    return Motion(
        rotations=axis_angle_to_matrix(axis_angle),
        translation=translation,
        fps=fps,
        skeleton=skeleton,
        body=layout,
        gender="female",
        betas=torch.randn(10, generator=generator, dtype=torch.float64),
        expression=torch.sin(phase[:, 0] + torch.arange(10)) if layout == "smplx" else None,
    )
