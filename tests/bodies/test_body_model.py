"""Posing: agreement with a plain twin, laws of batches and of the world, gradients, compilation, bad input."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from tests.material import small_body, small_motion
from vitruve.bodies.body_model import BodyModel
from vitruve.errors import BadData, UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix

LAYOUTS = ["smpl", "smplh", "smplx", "mano"]


def inputs(body: BodyModel, frames: int = 5, seed: int = 3):
    generator = torch.Generator().manual_seed(seed)

    def random(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    rotations = axis_angle_to_matrix(0.5 * random(frames, body.num_joints, 3))
    return random(body.num_betas), random(frames, body.num_expressions), rotations, random(frames, 3)


def naive(body: BodyModel, betas, expression, rotations, translation):
    """One frame, joint by joint and with dense weights: slow, and easy to believe."""
    shaped = body.template + body.shape_basis @ betas
    if expression is not None:
        shaped = shaped + body.expression_basis @ expression
    joints = body.joint_regressor @ shaped
    world, position = [], []
    for joint, parent in enumerate(body.skeleton.parents):
        if parent < 0:
            world.append(rotations[0])
            position.append(joints[0])
        else:
            world.append(world[parent] @ rotations[joint])
            position.append(position[parent] + world[parent] @ (joints[joint] - joints[parent]))
    rest = shaped
    if body.pose_basis is not None:
        rest = shaped + ((rotations[1:] - torch.eye(3)).flatten() @ body.pose_basis).view(-1, 3)
    vertices = torch.zeros_like(rest)
    for joint in range(body.num_joints):
        moved = (rest - joints[joint]) @ world[joint].T + position[joint]
        vertices = vertices + body.skin_weights[:, joint, None] * moved
    return vertices + translation, torch.stack(position) + translation


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("correctives", [True, False])
def test_posing_equals_the_plain_formula(layout, correctives):
    body = small_body(layout, correctives=correctives)
    betas, expression, rotations, translation = inputs(body)
    given = expression if body.num_expressions else None
    shaped = body.shaped(betas, given)
    vertices, joints = shaped.vertices(rotations, translation), shaped.joints(rotations, translation)
    for frame in range(len(rotations)):
        one = None if given is None else given[frame]
        expected, expected_joints = naive(body, betas, one, rotations[frame], translation[frame])
        assert (vertices[frame] - expected).abs().max() < 1e-12
        assert (joints[frame] - expected_joints).abs().max() < 1e-12


def test_points_are_the_regressed_vertices_dense_or_sparse():
    body = small_body("smplh")
    betas, _, rotations, translation = inputs(body)
    regressor = torch.zeros(4, body.num_vertices, dtype=torch.float64)
    regressor[0, 7], regressor[1, [3, 200]], regressor[3, 299] = 1.0, 0.5, 2.0
    shaped = body.shaped(betas)
    expected = regressor @ shaped.vertices(rotations, translation)
    for form in (regressor, regressor.to_sparse()):
        assert (shaped.points(form, rotations, translation) - expected).abs().max() < 1e-12
    with pytest.raises(BadData, match="does not fit"):
        shaped.points(regressor[:, :-1], rotations)


def test_a_batch_is_its_members_one_by_one_and_chunks_change_nothing():
    body = small_body()
    betas, expression, rotations, translation = inputs(body, frames=7)
    shaped = body.shaped(betas, expression)
    whole = shaped.vertices(rotations, translation)
    singles = torch.stack(
        [body.shaped(betas, expression[i]).vertices(rotations[i], translation[i]) for i in range(len(rotations))]
    )
    assert (whole - singles).abs().max() < 1e-12
    assert (whole - shaped.vertices(rotations, translation, chunk=3)).abs().max() < 1e-12
    assert (whole - torch.cat(list(shaped.vertex_chunks(rotations, translation, chunk=2)))).abs().max() < 1e-12


def test_any_leading_axes_and_many_shapes_at_once():
    body = small_body("smpl")
    generator = torch.Generator().manual_seed(0)
    betas = torch.randn(3, 1, 10, generator=generator, dtype=torch.float64)
    rotations = axis_angle_to_matrix(torch.randn(3, 4, 24, 3, generator=generator, dtype=torch.float64))
    vertices, joints = body.shaped(betas).vertices(rotations), body.shaped(betas).joints(rotations)
    assert vertices.shape == (3, 4, 300, 3) and joints.shape == (3, 4, 24, 3)
    for clip in range(3):
        shaped = body.shaped(betas[clip, 0])
        assert (vertices[clip] - shaped.vertices(rotations[clip])).abs().max() < 1e-12
        assert (joints[clip] - shaped.joints(rotations[clip])).abs().max() < 1e-12
    one_pose_many_shapes = body.shaped(betas[:, 0]).vertices(rotations[0, 0])
    assert one_pose_many_shapes.shape == (3, 300, 3)


def test_no_poses_give_no_vertices():
    body = small_body("smpl")
    assert body.shaped().vertices(body.rest_rotations(0)).shape == (0, 300, 3)


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_rest_pose_is_the_template(layout):
    body = small_body(layout)
    assert (body.shaped().vertices(body.rest_rotations(2)) - body.template).abs().max() < 1e-12


def test_turning_the_root_turns_the_body_about_it():
    body = small_body("smplx")
    betas, expression, rotations, _ = inputs(body, frames=1)
    turn = axis_angle_to_matrix(torch.tensor([0.3, -1.2, 0.4], dtype=torch.float64))
    shaped = body.shaped(betas, expression)
    turned = rotations.clone()
    turned[:, 0] = turn @ rotations[:, 0]
    root = shaped.rest_joints[:, :1]
    expected = (shaped.vertices(rotations) - root) @ turn.T + root
    assert (shaped.vertices(turned) - expected).abs().max() < 1e-12


@pytest.mark.parametrize("what", ["betas", "expression", "rotations", "translation"])
def test_gradients_against_finite_differences(what):
    body = small_body("smplx", vertices=20)
    values = dict(zip(["betas", "expression", "rotations", "translation"], inputs(body, frames=2), strict=True))
    values[what].requires_grad_()
    weight = torch.randn(2, 20, 3, generator=torch.Generator().manual_seed(5), dtype=torch.float64)
    direction = torch.randn(values[what].shape, generator=torch.Generator().manual_seed(6), dtype=torch.float64)

    def score(step: float) -> torch.Tensor:
        moved = {**values, what: values[what] + step * direction}
        shaped = body.shaped(moved["betas"], moved["expression"])
        vertices = shaped.vertices(moved["rotations"], moved["translation"])
        return (vertices * weight).sum() + shaped.joints(moved["rotations"], moved["translation"]).square().sum()

    (gradient,) = torch.autograd.grad(score(0.0), values[what])
    with torch.no_grad():
        numeric = (score(1e-6) - score(-1e-6)) / 2e-6
    assert gradient.abs().max() > 0, f"{what} is disconnected from the output"
    assert abs(float((gradient * direction).sum() - numeric)) < 1e-5 * max(1.0, abs(float(numeric)))


def test_single_precision_stays_within_a_hundredth_of_a_millimetre():
    body = small_body("smplx")
    betas, expression, rotations, translation = inputs(body)
    exact = body.shaped(betas, expression).vertices(rotations, translation)
    single = small_body("smplx").float()
    rough = single.shaped(betas, expression).vertices(rotations, translation)
    assert rough.dtype == torch.float32
    assert (rough - exact).abs().max() < 1e-5


def test_moving_the_body_moves_its_skin():
    body = small_body("smplh")
    _, _, rotations, _ = inputs(body)
    before = body.shaped().vertices(rotations)  # splits the skin in double precision
    after = body.float().shaped().vertices(rotations)
    assert after.dtype == torch.float32 and (after - before).abs().max() < 1e-5


COMPILED = """
import torch
from tests.material import small_body
from vitruve.geometry.rotations import axis_angle_to_matrix

body = small_body("smpl", vertices=60)
body.skin()  # split once, before tracing
betas, turns, translation = torch.ones(10).double(), torch.ones(5, 24, 3).double(), torch.ones(5, 3).double()

def posed(betas, turns, translation):
    shaped, rotations = body.shaped(betas), axis_angle_to_matrix(turns)
    return shaped.vertices(rotations, translation), shaped.joints(rotations, translation)

compiled = torch.compile(posed, fullgraph=True, backend="aot_eager")(betas, turns, translation)
for found, expected in zip(compiled, posed(betas, turns, translation)):
    assert (found - expected).abs().max() < 1e-10
print("compiled")
"""


def test_posing_compiles_as_one_graph():
    # In a process of its own: the tracer cannot see through the run-time shape checks of the test run.
    here = Path(__file__).parents[2]
    run = subprocess.run([sys.executable, "-c", COMPILED], capture_output=True, text=True, check=False, cwd=here)
    assert run.stdout.strip() == "compiled", run.stderr[-2000:]


def test_too_many_betas_say_how_many_there_are_unless_the_rest_are_zero():
    with pytest.raises(BadData) as caught:
        small_body("smplh").shaped(torch.ones(16))
    assert (
        "16 betas" in str(caught.value) and "10 columns" in caught.value.where and "betas[..., :10]" in caught.value.fix
    )
    ten = torch.randn(3, 10, generator=torch.Generator().manual_seed(0))
    many = torch.cat([ten, torch.zeros(3, 290)], -1)
    body = small_body("smplh")
    assert torch.equal(body.shaped(many).rest_vertices, body.shaped(ten).rest_vertices)
    with pytest.raises(BadData, match="300 betas"):
        body.shaped(many.index_fill(1, torch.tensor(299), torch.nan))


def test_fewer_betas_count_as_zero():
    body = small_body("smplh")
    few = torch.tensor([0.5, -1.0], dtype=torch.float64)
    assert torch.equal(body.shaped(few).rest_vertices, body.shaped(torch.cat([few, few.new_zeros(8)])).rest_vertices)


def test_a_body_without_a_face_takes_no_expression():
    with pytest.raises(BadData, match="expression"):
        small_body("smplh").shaped(expression=torch.ones(1))


def test_rotations_of_another_layout_are_refused_with_the_layout_named():
    with pytest.raises(UsageError) as caught:
        small_body("smplx").shaped().vertices(small_body("smplh").rest_rotations(3))
    assert "(3, 52, 3, 3)" in caught.value.where and "55" in caught.value.where and "smplh" in caught.value.fix


def test_arrays_that_do_not_fit_each_other_are_refused():
    body = small_body("smpl")
    fields = {
        key: getattr(body, key)
        for key in ("template", "shape_basis", "joint_regressor", "skin_weights", "faces", "skeleton", "layout")
    }
    for key, wrong in (("skin_weights", body.skin_weights[:, :-1]), ("joint_regressor", body.joint_regressor[:, :-1])):
        with pytest.raises(BadData, match=key):
            BodyModel(name="broken", gender="neutral", **{**fields, key: wrong})


def test_a_motion_poses_its_body():
    motion, body = small_motion("smplx"), small_body("smplx")
    vertices = motion.vertices(body)
    assert vertices.shape == (12, 300, 3)
    regressed = torch.einsum("jv,fvc->fjc", body.joint_regressor, vertices)
    assert motion.joints(body).shape == regressed.shape


@pytest.mark.gpu
def test_the_gpu_gives_the_same():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    body = small_body("smplx")
    betas, expression, rotations, translation = inputs(body)
    expected = body.shaped(betas, expression).vertices(rotations, translation)
    found = body.cuda().shaped(betas, expression).vertices(rotations, translation).cpu()
    assert (found - expected).abs().max() < 1e-10
