"""Motion files written by code in the layouts of other programs, for the tests of the readers."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from vitruve.errors import VitruveError


def turning(frames: int, joints: int, seed: int = 0) -> np.ndarray:
    """[frames, joints * 3] smooth axis-angle vectors, all below pi; the root stands upright in a z-up world."""
    random = np.random.default_rng(seed)
    phase = np.linspace(0, 2, frames)[:, None, None] + random.normal(size=(1, joints, 3))
    vectors = 0.4 * np.sin(phase) + 0.1 * random.normal(size=(1, joints, 3))
    vectors[:, 0] = [np.pi / 2, 0, 0]
    vectors[:, 0, 1] += 0.05 * np.sin(phase[:, 0, 0])
    return vectors.reshape(frames, -1)


def amass_smplh(frames: int = 20, **changes: Any) -> dict[str, Any]:
    """The arrays of an AMASS SMPL+H clip, some changed, or left out where None."""
    random = np.random.default_rng(1)
    poses = turning(frames, 52)
    poses[:, 30:36] = 0  # the toes
    arrays = {
        "poses": poses,
        "trans": np.array([0, 0, 0.9]) + np.cumsum(random.normal(size=(frames, 3)) * 1e-3, 0),
        "betas": random.normal(size=16),
        "dmpls": random.normal(size=(frames, 8)),
        "gender": np.array("male"),
        "mocap_framerate": np.array(120.00004577636719),
        "marker_data": random.normal(size=(frames, 5, 3)),
        "marker_labels": np.array([b"C7", b"CLAV", b"LANK", b"LELB", b"LFHD"], dtype="S7"),
    }
    return {key: value for key, value in (arrays | changes).items() if value is not None}


def amass_smplx(frames: int = 20, **changes: Any) -> dict[str, Any]:
    """The arrays of an AMASS SMPL-X clip, some changed, or left out where None."""
    poses = turning(frames, 55)
    arrays = {
        "gender": np.array("female"),
        "surface_model_type": np.array("smplx"),
        "mocap_frame_rate": np.array(100.0),
        "mocap_time_length": np.array(frames / 100),
        "markers_latent": np.ones((4, 3)),
        "latent_labels": np.array(["C7", "CLAV", "LANK", "LELB"]),
        "markers_latent_vids": np.array({"C7": 3832, "CLAV": 5533}, dtype=object),
        "trans": np.linspace([0, 0, 1], [1, 0, 1], frames),
        "poses": poses,
        "betas": np.arange(16) / 16,
        "num_betas": np.array(16),
        "root_orient": poses[:, :3],
        "pose_body": poses[:, 3:66],
        "pose_jaw": poses[:, 66:69],
        "pose_eye": poses[:, 69:75],
        "pose_hand": poses[:, 75:],
    }
    return {key: value for key, value in (arrays | changes).items() if value is not None}


def write_npz(path: Path, arrays: dict[str, Any]) -> Path:
    np.savez(path, **arrays)
    return path


def read_back(path: Path) -> dict[str, np.ndarray]:
    """All arrays of an npz that the test itself wrote, objects too."""
    with np.load(path, allow_pickle=True) as file:
        return {key: file[key] for key in file.files}


def transfer_frame(seed: int = 0, **changes: Any) -> dict[str, Any]:
    """What the transfer tool writes for one frame: tensors, matrices, eyes as axis-angle."""
    from vitruve.geometry.rotations import axis_angle_to_matrix

    generator = torch.Generator().manual_seed(seed)

    def matrices(joints: int) -> torch.Tensor:
        return axis_angle_to_matrix(0.5 * torch.randn(1, joints, 3, generator=generator))

    content = {
        "transl": torch.randn(1, 3, generator=generator),
        "global_orient": matrices(1),
        "body_pose": matrices(21),
        "betas": torch.randn(1, 10, generator=generator),
        "left_hand_pose": matrices(15),
        "right_hand_pose": matrices(15),
        "jaw_pose": matrices(1),
        "leye_pose": 0.1 * torch.randn(1, 1, 3, generator=generator),
        "reye_pose": 0.1 * torch.randn(1, 1, 3, generator=generator),
        "expression": torch.randn(1, 10, generator=generator),
        "vertices": torch.zeros(1, 50, 3),
        "joints": torch.zeros(1, 144, 3),
        "full_pose": matrices(55),
        "v_shaped": None,
        "faces": np.zeros((20, 3), dtype=np.int64),
    }
    return content | changes


def write_pickle(path: Path, content: Any) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(content))
    return path


class RunsCode:
    """Pickled, it would make a folder when it is read by plain pickle."""

    def __init__(self, trace: Path) -> None:
        self.trace = trace

    def __reduce__(self) -> tuple[Callable[..., Any], tuple[str]]:
        return os.mkdir, (str(self.trace),)


def assert_tells(error: pytest.ExceptionInfo[VitruveError], *words: str) -> None:
    """An error says what, where and what to do, in three lines, and holds the words given."""
    text = str(error.value)
    assert error.value.what and error.value.where and error.value.fix, text
    lines = text.split("\n")
    assert len(lines) == 3 and lines[1].startswith("  where: ") and lines[2].startswith("  do: "), text
    for word in words:
        assert word.lower() in text.lower(), text
