"""Results do not depend on the number of threads, and what rounding changes on the way changes little in the end."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
import torch

import vitruve
from tests.convert.test_convert import walk
from tests.convert.test_meshes import meshes
from vitruve.bodies import load_body
from vitruve.convert import convert_motion
from vitruve.convert.body_pair import pair_of
from vitruve.convert.meshes import convert_meshes
from vitruve.fit.surface_points import farthest_first
from vitruve.geometry.rotations import axis_angle_to_matrix, matrix_to_axis_angle
from vitruve.motion import Motion, bundled_clip_path, resample

# Radians that a rotation may move where the input moves by 1e-7: processors round differently, and single precision
# leaves 5e-5 to a finger or a collar bone. A decision that is a leap moves it by 4e-4 and more.
STEADY = 1e-4


@pytest.fixture
def threads():
    before = torch.get_num_threads()
    yield torch.set_num_threads
    torch.set_num_threads(before)


def under(count: int) -> dict[str, torch.Tensor]:
    """Everything from loading a body to a written motion; nothing is kept from before."""
    source, target = load_body("open-smplh-female"), load_body("open-smplx-female")
    motion = walk(12).replace(gender="female")
    pair, shaped = pair_of(source, target, 450), source.shaped(motion.betas)
    conversion = convert_motion(motion, target, source=source)
    found = convert_meshes(meshes("open-smplh-neutral"), "open-smplh")
    assert torch.get_num_threads() == count
    return {
        **{f"source.{name}": value for name, value in source.named_buffers()},
        **{f"target.{name}": value for name, value in target.named_buffers()},
        "rest vertices": shaped.rest_vertices,
        "rest joints": shaped.rest_joints,
        "weights": pair.weights,
        "points": pair.fitted.ids,
        "joints by betas": pair.points.joints_shape,
        **{f"convert.{name}": getattr(conversion.motion, name) for name in ("rotations", "translation", "betas")},
        **{f"meshes.{name}": getattr(found.motion, name) for name in ("rotations", "translation", "betas")},
        "errors": conversion.error.per_frame,
        "figures": torch.tensor([conversion.error.mean, conversion.error.p95, conversion.error.jitter]),
    }


def test_the_number_of_threads_changes_no_bit(threads):
    found = {}
    for count in (1, 2, 4):
        threads(count)
        found[count] = under(count)
    for count in (2, 4):
        different = [name for name, value in found[1].items() if not torch.equal(value, found[count][name])]
        assert not different


def test_what_is_not_done_in_blocks_has_one_thread(threads, monkeypatch):
    """On a processor where several threads happen to round alike, the test above sees nothing."""
    threads(2)
    seen = {}

    def spy(owner: object, name: str) -> None:
        original = getattr(owner, name)

        def spied(*arguments, **words):
            seen.setdefault(name, set()).add(torch.get_num_threads())
            return original(*arguments, **words)

        monkeypatch.setattr(owner, name, spied)

    spy(torch, "einsum")
    spy(vitruve.convert.body_pair, "fit_points")
    spy(vitruve.convert.body_pair, "choose_points")
    spy(vitruve.convert.convert, "betas_at_rest")
    spy(vitruve.convert.convert, "copy_pose")
    spy(vitruve.convert.convert, "error_report")
    spy(vitruve.fit.moments.Moments, "of")
    convert_motion(walk(4), load_body("open-smplx-neutral"), source=load_body("open-smplh-neutral"))
    body = load_body("open-smpl-neutral")
    body.shaped(torch.ones(10))
    assert len(seen) == 7 and set().union(*seen.values()) == {1}


@pytest.mark.slow
def test_the_surface_map_does_not_depend_on_threads_either():
    """In processes of their own: NumPy asks for its threads when it starts."""
    program = """
import hashlib, sys, torch
from vitruve.bodies import load_body
from vitruve.correspondence.computed_map import compute_maps
digest = hashlib.sha256()
for way in compute_maps(load_body("open-smplh-neutral"), load_body("open-smplx-neutral")):
    digest.update(way.vertices.tobytes() + way.weights.tobytes() + way.lost.tobytes())
print(digest.hexdigest())
"""
    names = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    found = [
        subprocess.run(
            [sys.executable, "-c", program],
            env={**os.environ, **dict.fromkeys(names, count)},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for count in ("1", "2")
    ]
    assert found[0] == found[1] != ""


def jiggled(motion: Motion, seed: int) -> Motion:
    """The motion moved by what single precision rounds away."""
    generator = torch.Generator().manual_seed(seed)

    def noise(*shape: int) -> torch.Tensor:
        return 1e-7 * torch.randn(*shape, generator=generator, dtype=torch.float64)

    turned = axis_angle_to_matrix(noise(*motion.rotations.shape[:2], 3)) @ motion.rotations.double()
    moved = motion.translation.double() + noise(*motion.translation.shape)
    return motion.replace(rotations=turned.to(motion.rotations), translation=moved.to(motion.translation))


def farthest(a: Motion, b: Motion) -> float:
    """The largest angle between rotations, radians; small angles are not lost in an arc cosine."""
    return float(matrix_to_axis_angle(a.rotations.double().mT @ b.rotations.double()).norm(dim=-1).max())


@pytest.mark.parametrize("way", ["clip", "fast", "back", "single"])
def test_a_little_in_the_input_is_little_in_the_result(way: str):
    """On whole clips, since one frame in a hundred comes near to a threshold."""
    motion, bodies = vitruve.load_motion(bundled_clip_path()), ["open-smplh-neutral", "open-smplx-neutral"]
    settings = {}
    if way == "fast":
        motion = resample(motion, 120)[:600]
    elif way == "back":
        bodies = bodies[::-1]
        motion = convert_motion(motion, load_body(bodies[0]), source=load_body(bodies[1])).motion
    elif way == "single":
        motion, settings = motion.replace(betas=walk().betas)[::4], {"betas": "zero", "sequence": False}
    source, target = map(load_body, bodies)
    expected = convert_motion(motion, target, source=source, **settings).motion
    found = convert_motion(jiggled(motion, 0), target, source=source, **settings).motion
    assert farthest(found, expected) < STEADY
    assert (found.translation - expected.translation).abs().max() < 1e-5
    assert (found.betas - expected.betas).abs().max() < 1e-4


def test_a_body_rounded_otherwise_gives_the_same_motion():
    """As another processor would load it: the last bit of every product is another."""
    source, target = load_body("open-smplh-neutral"), load_body("open-smplx-neutral")
    motion = vitruve.load_motion(bundled_clip_path())[:240]
    expected = convert_motion(motion, target, source=source).motion
    generator = torch.Generator().manual_seed(0)
    for body in (source, target):
        for product in (body._joints_template, body._joints_shape):
            product.mul_(1 + 1e-7 * torch.randn(product.shape, generator=generator))
    found = convert_motion(motion, target, source=source).motion
    assert farthest(found, expected) < STEADY


def test_points_of_two_alike_sides_are_chosen_the_same_however_sums_are_rounded():
    """Mirrored points are exactly as far: the axes in another order, which adds in another order, change nothing."""
    half = torch.rand(60, 3, generator=torch.Generator().manual_seed(0)) - 0.5
    points = torch.cat([half, half * torch.tensor([-1.0, 1.0, 1.0])])
    chosen = farthest_first(points, 40).tolist()
    for order in ([2, 1, 0], [1, 2, 0], [0, 2, 1]):
        assert farthest_first(points[:, order], 40).tolist() == chosen


def test_meshes_moved_by_a_little():
    sequence = meshes("open-smplh-neutral")
    noise = 1e-7 * torch.randn(sequence.vertices.shape, generator=torch.Generator().manual_seed(0))
    moved = type(sequence)(sequence.vertices + noise, sequence.faces, ())
    expected, found = (convert_meshes(each, "open-smplx").motion for each in (sequence, moved))
    assert farthest(found, expected) < STEADY
    assert (found.betas - expected.betas).abs().max() < 1e-3
