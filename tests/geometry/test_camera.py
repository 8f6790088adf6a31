"""Cameras: laws of projection, exact lenses and their way back, derivatives, pictures of other sizes, bad numbers."""

from __future__ import annotations

import math

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from vitruve.errors import BadData, UsageError
from vitruve.geometry.camera import Camera, look_at, pinhole
from vitruve.geometry.lens import LENSES, distort, lens_reach, undistort

SIZE = (1280, 720)
# Lenses of real cameras: a phone, a wide action camera, a rational fit, a fisheye.
REAL = {
    "phone": ("opencv", [0.12, -0.31, 0.001, -0.0007, 0.2]),
    "action": ("opencv", [-0.25, 0.01, 0.0004, 0.0002]),
    "rational": ("opencv", [0.5, -0.1, 0.0003, -0.0002, 0.01, 0.7, -0.1, 0.01]),
    "fisheye": ("fisheye", [-0.02, 0.004, -0.003, 0.0005]),
}


def camera_of(name: str, frames: int = 0) -> Camera:
    model, numbers = REAL[name]
    camera = look_at((1.0, -4.0, 1.5), (0.1, 0.0, 1.0), SIZE, fov_deg=40)
    pose = camera.T_camera_world
    if frames:
        pose = torch.stack(
            [look_at((k / 4, -4.0, 1.5), (0, 0, 1.0), SIZE, fov_deg=40).T_camera_world for k in range(frames)]
        )
    return Camera(camera.intrinsics, pose, SIZE, torch.tensor(numbers, dtype=torch.float64), model)


def points(*shape: int) -> torch.Tensor:
    return torch.rand(*shape, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 2 - torch.tensor(
        [1.0, 1.0, 0.0], dtype=torch.float64
    )


def naive_opencv(x: float, y: float, k: list[float]) -> tuple[float, float]:
    k1, k2, p1, p2, k3, k4, k5, k6 = [*k, *[0.0] * (8 - len(k))]
    r2 = x**2 + y**2
    radial = (1 + k1 * r2 + k2 * r2**2 + k3 * r2**3) / (1 + k4 * r2 + k5 * r2**2 + k6 * r2**3)
    return (
        x * radial + 2 * p1 * x * y + p2 * (r2 + 2 * x**2),
        y * radial + p1 * (r2 + 2 * y**2) + 2 * p2 * x * y,
    )


def naive_fisheye(x: float, y: float, k: list[float]) -> tuple[float, float]:
    r = math.hypot(x, y)
    t = math.atan(r)
    d = t + k[0] * t**3 + k[1] * t**5 + k[2] * t**7 + k[3] * t**9
    return (x * d / r, y * d / r)


@pytest.mark.parametrize("name", REAL)
def test_a_lens_follows_the_published_formula(name):
    model, numbers = REAL[name]
    lens = torch.zeros(LENSES[model].size, dtype=torch.float64)
    lens[: len(numbers)] = torch.tensor(numbers, dtype=torch.float64)
    naive = naive_opencv if model == "opencv" else naive_fisheye
    for x, y in ((0.1, 0.2), (-0.4, 0.3), (0.5, -0.25)):
        found, _ = distort(model, lens, torch.tensor([x, y], dtype=torch.float64))
        assert found.tolist() == pytest.approx(naive(x, y, numbers), abs=1e-12)


def test_a_pixel_is_where_a_pinhole_puts_it():
    camera = look_at((0, -2, 1), (0, 0, 1), (640, 480), fov_deg=90)
    pixel, depth = camera.project(torch.tensor([[0.0, 0.0, 1.0], [1.0, 0.0, 1.0], [0.0, 0.0, 2.0]]).double())
    assert depth.tolist() == pytest.approx([2, 2, 2])
    # 90 degrees high: 240 pixels a unit of the plane. The middle lies between the middle pixels.
    assert pixel.tolist() == [
        pytest.approx([319.5, 239.5]),
        pytest.approx([439.5, 239.5]),
        pytest.approx([319.5, 119.5]),
    ]
    assert camera.position.tolist() == pytest.approx([0, -2, 1])
    assert float(camera.fov_deg) == pytest.approx(90)


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("frames", [0, 5])
def test_unproject_undoes_project_everywhere_in_the_picture(name, frames):
    camera = camera_of(name, frames)
    x, y = torch.meshgrid(torch.linspace(0, SIZE[0] - 1, 17), torch.linspace(0, SIZE[1] - 1, 9), indexing="ij")
    pixels = torch.stack([x, y], -1).double().reshape(-1, 2)
    pixels = pixels.expand(frames, *pixels.shape) if frames else pixels
    depth = torch.full(pixels.shape[:-1], 3.0, dtype=torch.float64)
    again, back = camera.project(camera.unproject(pixels, depth))
    assert float((again - pixels).abs().max()) < 1e-6
    assert float((back - depth).abs().max()) < 1e-9


@pytest.mark.parametrize("name", REAL)
@pytest.mark.parametrize("frames", [0, 4])
def test_derivatives_are_those_of_autograd(name, frames):
    camera = camera_of(name, frames)
    where = points(frames or 4, 3).requires_grad_()
    pixels, derivatives = camera.project_with_derivatives(where)
    assert torch.allclose(pixels, camera.project(where)[0])
    for k in range(2):
        (slope,) = torch.autograd.grad(pixels[..., k].sum(), where, retain_graph=True)
        assert torch.allclose(derivatives[..., k, :], slope, atol=1e-6 * float(slope.abs().max()))


@given(st.sampled_from(sorted(REAL)), st.floats(0.0, 0.7), st.floats(0, 2 * math.pi))
def test_the_way_back_is_exact_within_reach(name, radius, angle):
    model, numbers = REAL[name]
    lens = torch.zeros(LENSES[model].size, dtype=torch.float64)
    lens[: len(numbers)] = torch.tensor(numbers, dtype=torch.float64)
    radius *= min(1.0, 0.95 * lens_reach(model, lens) / 0.7)
    plane = torch.tensor([radius * math.cos(angle), radius * math.sin(angle)], dtype=torch.float64)
    assert torch.allclose(undistort(model, lens, distort(model, lens, plane)[0]), plane, atol=1e-9)


def test_what_is_behind_or_beyond_the_lens_is_missing():
    camera = camera_of("action")
    behind = camera.position - camera.axes[2]
    far_out = camera.position + camera.axes[2] + 4 * camera.axes[0]  # where the model would fold it back
    pixels, depth = camera.project(torch.stack([behind, far_out]))
    assert pixels.isnan().all()
    assert depth[0] < 0 < depth[1]
    assert camera.unproject(torch.tensor([[1e6, 0.0]]).double(), torch.ones(1).double()).isnan().any()


def test_a_picture_of_another_size_shows_the_same_at_its_place():
    camera = camera_of("phone")
    smaller = camera.resized((640, 360))
    pixels, other = camera.project(points(20))[0], smaller.project(points(20))[0]
    assert torch.allclose((other + 0.5) * 2, pixels + 0.5, atol=1e-9)
    with pytest.raises(UsageError, match="1280x720"):
        camera.resized((640, 640))


def test_frames_are_cut_and_held():
    camera = camera_of("phone", frames=6)
    assert len(camera) == 6 and camera.moves
    assert len(camera[2:5]) == 3
    assert not camera.at(3).moves
    assert torch.equal(camera.at(99).T_camera_world, camera.T_camera_world[5])
    still = camera_of("phone")
    assert len(still) == 1 and torch.equal(still[1:3].T_camera_world, still.T_camera_world)
    each = torch.stack([camera.at(k).project(points(6, 2)[k])[0] for k in range(6)])
    assert torch.allclose(camera.project(points(6, 2))[0], each)
    with pytest.raises(UsageError, match="frames"):
        camera.project(points(5, 2))


def test_looking_straight_down_the_world_keeps_x_to_the_right():
    camera = look_at((0, 0, 5), (0, 0, 0), SIZE)
    assert camera.axes[0].tolist() == pytest.approx([1, 0, 0])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"intrinsics": torch.zeros(3, 3)}, "intrinsics"),
        ({"intrinsics": torch.full((3, 3), math.nan)}, "finite"),
        ({"T_camera_world": 2 * torch.eye(4)}, "rigid"),
        ({"T_camera_world": torch.eye(4)[:3]}, "shapes"),
        ({"T_camera_world": torch.zeros(0, 4, 4)}, "shapes"),
        ({"distortion": torch.zeros(3)}, "expected 0, 4, 5, 8"),
        ({"lens": "fish"}, "fisheye"),
        ({"size": (0, 3)}, "size"),
        ({"fps": 0.0}, "fps"),
    ],
)
def test_bad_numbers_are_named(change, words):
    good = {"intrinsics": pinhole(SIZE, 30), "T_camera_world": torch.eye(4), "size": SIZE}
    with pytest.raises(BadData) as error:
        Camera(**{**good, **change})
    assert words in str(error.value)
