"""Joints, vertices and extra points equal those of the `smplx` package on the same files.

The files are random ones in the official layouts, with pose correctives, and the open body as it exports itself. The
package rounds what it reads to float32, so these files hold numbers that are exact in it. Its rotation formula adds
1e-8 to an angle, so exact comparisons (float64, 1e-10 m) hand it rotation matrices, or take the matrices that it made.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor

from tests.bodies.official_files import VERTICES, random_values, write_npz, write_pkl, write_python2_pkl
from tests.command import run_command
from vitruve.bodies import BodyModel, load_body, read_body
from vitruve.bodies.export import export_body
from vitruve.bodies.landmarks import output_points, output_positions
from vitruve.geometry.rotations import axis_angle_to_matrix
from vitruve.skeletons import load_skeleton

smplx = pytest.importorskip("smplx", reason="the smplx package is the reference here: pip install 'vitruve[dev]'")
pytestmark = pytest.mark.filterwarnings("ignore::UserWarning", "ignore::DeprecationWarning")

LIMIT = {torch.float32: 1e-5, torch.float64: 1e-10}
BATCH = 2
# The argument of the package for each range of joints, in the order of the layout's tree.
PARTS = {
    "smpl": {"body_pose": 23},
    "smplh": {"body_pose": 21, "left_hand_pose": 15, "right_hand_pose": 15},
    "smplx": {
        **{"body_pose": 21, "jaw_pose": 1, "leye_pose": 1, "reye_pose": 1},
        **{"left_hand_pose": 15, "right_hand_pose": 15},
    },
    "mano": {"hand_pose": 15},
}


@pytest.fixture(scope="module")
def random_files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """One random file of true size per layout, in the form the package reads."""
    root = tmp_path_factory.mktemp("random")
    betas = {"smpl": (10, 0), "smplh": (16, 0), "smplx": (10, 10), "mano": (10, 0)}
    files = {}
    for layout, (shapes, expressions) in betas.items():
        values = random_values(layout, VERTICES[layout], shapes, expressions)
        if layout == "smplx":
            files[layout] = write_npz(root / "smplx" / "SMPLX_FEMALE.npz", values)
        else:
            name = "MANO_LEFT" if layout == "mano" else f"{layout.upper()}_FEMALE"
            files[layout] = write_pkl(root / layout / f"{name}.pkl", values, protocol=4)
    return files


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The open body in some official files: every layout, every gender once, both hands."""
    root = tmp_path_factory.mktemp("exported")
    for name in ("smpl-male", "smplh-female", "smplx-neutral", "mano-left", "mano-right"):
        export_body(load_body(f"open-{name}", dtype=torch.float64), root)
    return root


def layer(path: Path, layout: str, dtype: torch.dtype, num_betas: int = 10):
    """The package's model that takes rotation matrices. The MANO layer ignores `is_rhand` for all but the pose."""
    kind = {"smpl": smplx.SMPLLayer, "smplh": smplx.SMPLHLayer, "smplx": smplx.SMPLXLayer, "mano": smplx.MANOLayer}
    more = {"is_rhand": "RIGHT" in path.name} if layout == "mano" else {"gender": path.stem.split("_")[1].lower()}
    return kind[layout](str(path), dtype=dtype, ext=path.suffix[1:], num_betas=num_betas, **more)


def random_pose(body: BodyModel, seed: int = 0) -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64).to(body.dtype)

    return {
        "axis_angle": 0.6 * random(BATCH, body.num_joints, 3),
        "betas": random(BATCH, 10),
        "expression": random(BATCH, min(10, body.num_expressions)),
        "translation": random(BATCH, 3),
    }


def assert_same(body: BodyModel, rotations: Tensor, pose: dict[str, Tensor], output, limit: float) -> None:
    expression = pose["expression"] if body.num_expressions else None
    shaped = body.shaped(pose["betas"], expression)
    vertices = shaped.vertices(rotations, pose["translation"])
    assert (vertices - output.vertices).abs().max() < limit
    if body.layout == "mano":
        points = shaped.joints(rotations, pose["translation"])
    else:
        points = output_positions(shaped, rotations, pose["translation"])
        assert points.shape[1] == {"smpl": 45, "smplh": 73, "smplx": 127}[body.layout]
    assert (points - output.joints).abs().max() < limit


def assert_layer_equals(path: Path, layout: str, dtype: torch.dtype) -> None:
    body = read_body(path, dtype=dtype)
    pose = random_pose(body)
    rotations = axis_angle_to_matrix(pose["axis_angle"])
    counts = [1, *PARTS[layout].values()]
    parts = dict(zip(("global_orient", *PARTS[layout]), rotations.split(counts, 1), strict=True))
    words = {"betas": pose["betas"], "transl": pose["translation"]}
    if layout == "smplx":
        words["expression"] = pose["expression"]
    with torch.no_grad():
        output = layer(path, layout, dtype)(**parts, **words, pose2rot=False)
    assert_same(body, rotations, pose, output, LIMIT[dtype])


@pytest.mark.parametrize("layout", PARTS)
@pytest.mark.parametrize("dtype", LIMIT, ids=str)
def test_random_files(random_files: dict[str, Path], layout: str, dtype: torch.dtype):
    assert_layer_equals(random_files[layout], layout, dtype)


@pytest.mark.parametrize(
    "name", ["smpl/SMPL_MALE.pkl", "smplh/SMPLH_FEMALE.pkl", "smplx/SMPLX_NEUTRAL.npz", "mano/MANO_RIGHT.pkl"]
)
def test_the_exported_open_body(exported: Path, name: str):
    assert_layer_equals(exported / name, name.split("/")[0], torch.float64)


def test_more_than_ten_betas_reach_the_package(tmp_path: Path):
    """It takes ten of a file with fewer than 300 columns: zeros fill them up, but not where ten or fewer were asked."""
    for layout in ("smpl", "smplh", "mano"):
        gender = "right" if layout == "mano" else "male"
        body = load_body(f"open-{layout}-{gender}", num_betas=16)
        path = export_body(body, tmp_path / "sixteen")[0]
        model = layer(path, layout, torch.float32, num_betas=16)
        assert torch.equal(model.shapedirs, body.shape_basis)
        assert read_body(path).num_betas == 16 and read_body(path, num_betas=20).num_betas == 20
        ten = export_body(load_body(f"open-{layout}-{gender}", num_betas=10), tmp_path / "ten")
        assert {read_body(path).num_betas for path in ten if path.suffix != ".txt"} == {10}
    assert read_body(tmp_path / "sixteen" / "smplh" / "male" / "model.npz").num_betas == 16


@pytest.mark.parametrize(
    ("layout", "gender"), [("smpl", "male"), ("smplh", "female"), ("smplx", "neutral"), ("mano", "left")]
)
def test_the_export_reads_back_as_the_same_body(exported: Path, layout: str, gender: str):
    body = load_body(f"open-{layout}-{gender}", dtype=torch.float64)
    back = load_body(f"{layout}-{gender}", folder=exported, dtype=torch.float64)
    assert back.gender == gender and back.layout == layout and "not SMPL" in back.licence
    for name, tensor in body.named_buffers():
        found = getattr(back, name)
        if name in ("shape_basis", "expression_basis", "_joints_shape", "_joints_expression"):
            assert not found[..., tensor.shape[-1] :].any()
            found = found[..., : tensor.shape[-1]]
        # The buffers are the same numbers; what is worked out from them may be summed in another order.
        torch.testing.assert_close(found, tensor, rtol=0, atol=1e-15 if name.startswith("_") else 0)
    for side, space in body.hands.items():
        assert torch.equal(back.hands[side].components, space.components)
        assert torch.equal(back.hands[side].mean, space.mean)


@pytest.mark.parametrize(
    ("layout", "flat", "components"),
    [
        *(("mano", flat, components) for flat in (False, True) for components in (6, 45)),
        *(("smplh", False, 12), ("smplh", True, 45), ("smplx", True, 6), ("smplx", False, 45), ("smplx", False, 6)),
    ],
)
def test_hands_with_and_without_pca(random_files: dict[str, Path], layout: str, flat: bool, components: int):
    """The package takes hand coefficients where fewer than 45 are asked for, and axis-angle values otherwise."""
    dtype = torch.float64
    path, body = random_files[layout], read_body(random_files[layout], dtype=torch.float64)
    words = {"flat_hand_mean": flat, "num_pca_comps": components, "use_pca": components < 45}
    words |= {"is_rhand": False} if layout == "mano" else {"gender": "female"}
    model = smplx.create(str(path), layout, dtype=dtype, ext=path.suffix[1:], batch_size=BATCH, num_betas=10, **words)
    pose = random_pose(body)
    counts = [1, *PARTS[layout].values()]
    parts = dict(zip(("global_orient", *PARTS[layout]), pose["axis_angle"].split(counts, 1), strict=True))
    rotations = axis_angle_to_matrix(pose["axis_angle"])
    for key in [key for key in parts if "hand" in key]:
        side = "right" if key.startswith("right") else "left"
        coefficients = torch.randn(BATCH, components, dtype=dtype)
        space = body.hands[side]
        if components == 45:
            hand = coefficients if flat else coefficients + space.mean.to(dtype)
            hand = axis_angle_to_matrix(hand.unflatten(-1, (15, 3)))
        else:
            hand = space.rotations(coefficients, flat_mean=flat)
        parts[key] = coefficients
        first = body.skeleton.index("index1" if layout == "mano" else f"{side}_index1")
        rotations[:, first : first + 15] = hand
    parts = {key: value.flatten(1) for key, value in parts.items()}
    words = {"betas": pose["betas"], "transl": pose["translation"], "return_full_pose": True}
    if layout == "smplx":
        words["expression"] = pose["expression"]
    with torch.no_grad():
        output = model(**parts, **words)
    made = smplx.lbs.batch_rodrigues(output.full_pose.reshape(-1, 3)).unflatten(0, (BATCH, -1))
    assert (made - rotations).abs().max() < 1e-7
    assert_same(body, made, pose, output, LIMIT[dtype])
    # And end to end in the precision people use.
    body32, pose32 = body.float(), {key: value.float() for key, value in pose.items()}
    assert_same(body32, rotations.float(), pose32, output, LIMIT[torch.float32])


def test_a_python_2_file_with_chumpy_gives_the_same_body(tmp_path: Path, random_files: dict[str, Path]):
    values = random_values("mano", VERTICES["mano"])
    old = write_python2_pkl(tmp_path / "MANO_LEFT.pkl", values, ("shapedirs", "v_template", "posedirs", "weights"))
    plain, body = read_body(random_files["mano"]), read_body(old)
    assert all(torch.equal(a, b) for a, b in zip(body.buffers(), plain.buffers(), strict=True))


@pytest.mark.parametrize(("layout", "name"), [("smpl", "SMPL_MALE"), ("mano", "MANO_RIGHT")])
def test_the_package_reads_clean_copies_without_chumpy(tmp_path: Path, layout: str, name: str):
    values = random_values(layout, VERTICES[layout])
    old = write_python2_pkl(tmp_path / "old" / f"{name}.pkl", values, ("shapedirs", "v_template", "posedirs"))
    assert run_command("bodies", "clean", old, "--out", tmp_path / "new", "--suffix", ".pkl") == 0
    assert_layer_equals(tmp_path / "new" / old.name, layout, torch.float64)


def test_a_merged_file_is_a_whole_smplh_body(tmp_path: Path):
    """AMASS's npz has no hands, so the package cannot read it; joined with MANO it can."""
    from vitruve.bodies.check import merge_hands

    amass = random_values("smplh", VERTICES["smplh"], betas=16, hands=False)
    hands = {side: random_values("mano", seed=i) for i, side in enumerate(("left", "right"))}
    paths = {side: write_pkl(tmp_path / f"MANO_{side.upper()}.pkl", values) for side, values in hands.items()}
    smplh = write_npz(tmp_path / "male" / "model.npz", amass)
    merged = merge_hands(smplh, paths["left"], paths["right"], tmp_path / "smplh" / "SMPLH_MALE.pkl")
    assert_layer_equals(merged, "smplh", torch.float64)
    model = smplx.create(str(tmp_path), "smplh", gender="male", num_pca_comps=6, num_betas=16)
    assert model.num_betas == 16
    np.testing.assert_allclose(model.shapedirs, amass["shapedirs"], atol=1e-6)
    np.testing.assert_allclose(model.left_hand_components, hands["left"]["hands_components"][:6], atol=1e-6)
    np.testing.assert_allclose(model.right_hand_mean, hands["right"]["hands_mean"], atol=1e-6)


def test_betas_and_expressions_never_run_into_each_other(tmp_path: Path):
    """v1.0 files have 10 + 10 columns, v1.1 files 300 + 100; the expression starts behind the shape."""
    for betas, expressions in ((10, 10), (300, 100)):
        values = random_values("smplx", 30, betas, expressions)
        body = read_body(write_pkl(tmp_path / "SMPLX_MALE.pkl", values), dtype=torch.float64)
        assert (body.num_betas, body.num_expressions) == (betas, expressions)
        np.testing.assert_array_equal(body.expression_basis, values["shapedirs"][..., betas:])


def test_names_of_the_extra_points(exported: Path):
    body = load_body("open-smplx-neutral")
    skeleton, regressor = output_points(body)
    assert skeleton is load_skeleton("smplx127") and regressor.shape == (72, body.num_vertices)
    positions = output_positions(body.shaped(), body.rest_rotations())
    left, right = positions[skeleton.index("left_thumb")], positions[skeleton.index("right_thumb")]
    # Mirror images of one another, and further out than the wrists.
    assert torch.allclose(left * torch.tensor([-1, 1, 1]), right, atol=2e-3)
    assert left[0] > positions[skeleton.index("left_wrist"), 0] > 0.5
    assert positions[skeleton.index("nose"), 2] > positions[skeleton.index("left_ear"), 2] + 0.05
    heel, toe = (positions[skeleton.index(name)] for name in ("left_heel", "left_big_toe"))
    assert heel[2] < positions[skeleton.index("left_ankle"), 2] < toe[2]
    assert len(output_points(load_body("open-smpl-neutral"))[0]) == 45
    assert len(output_points(load_body("open-mano-left"))[0]) == 21
