"""A motion handed to the `smplx` package has the same vertices there."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tests.formats.files import assert_tells
from tests.material import LAYOUT_SKELETONS, small_motion
from vitruve.bodies import load_body
from vitruve.bodies.export import export_body
from vitruve.errors import UsageError
from vitruve.motion import Motion
from vitruve.skeletons import Skeleton

BODIES = ("smpl-male", "smplh-female", "smplx-neutral", "mano-left", "mano-right")


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The open body as `vitruve bodies export` writes it, with all of its betas."""
    root = tmp_path_factory.mktemp("body_models")
    for name in BODIES:
        export_body(load_body(f"open-{name}"), root)
    return root


def motion_on(name: str, betas: int = 16, frames: int = 5) -> Motion:
    layout, gender = name.split("-")
    motion = small_motion(layout, frames=frames)
    body, gender = (f"open-{name}", "neutral") if layout == "mano" else (f"open-{layout}", gender)
    generator = torch.Generator().manual_seed(1)
    return motion.replace(body=body, gender=gender, betas=torch.randn(betas, generator=generator, dtype=torch.float64))


def vertices_there(motion: Motion, folder: Path, dtype: torch.dtype) -> torch.Tensor:
    smplx = pytest.importorskip("smplx", reason="the smplx package is what this is for: pip install 'vitruve[dev]'")
    model = smplx.create(str(folder), dtype=dtype, **motion.smplx_create_arguments())
    with torch.no_grad():
        return model(**motion.smplx_arguments(dtype=dtype)).vertices


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
@pytest.mark.parametrize("betas", [0, 3, 16])
@pytest.mark.parametrize("name", BODIES)
def test_the_same_vertices(exported: Path, name: str, betas: int) -> None:
    """Sixteen betas are more than the package takes of a file with few columns; the exports have enough."""
    motion = motion_on(name, betas)
    body = load_body(name, folder=exported, dtype=torch.float64)
    expected = motion.vertices(body)
    # The package rounds what it reads to float32, and adds 1e-8 to every angle.
    assert (vertices_there(motion, exported, torch.float64) - expected).abs().max() < 1e-6
    single = vertices_there(motion, exported, torch.float32)
    assert single.dtype == torch.float32 and (single - expected).abs().max() < 1e-5


@pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")
def test_one_model_poses_motions_of_any_length(exported: Path) -> None:
    smplx = pytest.importorskip("smplx", reason="the smplx package is what this is for: pip install 'vitruve[dev]'")
    model = smplx.create(str(exported), **motion_on("smplx-neutral").smplx_create_arguments())
    for frames in (1, 3, 8):
        assert len(model(**motion_on("smplx-neutral", frames=frames).smplx_arguments()).vertices) == frames


def test_the_arguments_of_every_layout() -> None:
    for layout, skeleton in LAYOUT_SKELETONS.items():
        motion = small_motion(layout, frames=4)
        motion = motion.replace(body="mano-left") if layout == "mano" else motion
        arguments = motion.smplx_arguments()
        assert all(value.dtype == torch.float32 and len(value) == 4 for value in arguments.values())
        shape = {"betas", "transl", "expression"}
        joints = sum(value.shape[1] for key, value in arguments.items() if key not in shape) / 3
        assert motion.skeleton.name == skeleton and joints == len(motion.skeleton)
        assert ("expression" in arguments) == ("num_expression_coeffs" in motion.smplx_create_arguments())
        assert arguments["betas"].shape == (4, 10)


def test_the_words_say_which_body_and_how_the_hands_are_meant() -> None:
    words = motion_on("smplh-female", 16).smplx_create_arguments()
    assert words == {
        **{"model_type": "smplh", "gender": "female", "num_betas": 16},
        **{"use_pca": False, "flat_hand_mean": True},
    }
    hand = motion_on("mano-right").smplx_create_arguments()
    assert hand["is_rhand"] and hand["model_type"] == "mano" and "gender" not in hand


def test_betas_that_are_not_in_use_are_left_out_and_those_that_are_never() -> None:
    motion = small_motion("smplx").replace(betas=torch.cat([torch.ones(12), torch.zeros(288)]))
    assert motion.smplx_arguments()["betas"].shape[1] == motion.smplx_create_arguments()["num_betas"] == 12
    assert motion.smplx_arguments(num_betas=20)["betas"].shape[1] == 20
    with pytest.raises(UsageError) as error:
        motion.smplx_arguments(num_betas=10)
    assert_tells(error, "more than 10 betas", "betas[11]", "num_betas=12")


def test_a_plain_tree_is_no_body_of_the_package() -> None:
    tree = Skeleton("two", ("hips", "spine"), (-1, 0), rest=torch.zeros(2, 3))
    motion = Motion(torch.eye(3).expand(3, 2, 3, 3), torch.zeros(3, 3), 30.0, tree)
    with pytest.raises(UsageError) as error:
        motion.smplx_arguments()
    assert_tells(error, "no body", "two", "convert")
