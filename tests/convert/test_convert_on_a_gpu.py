"""Conversions to a body that is on a GPU: all is done there, by the dense solver, with nearly the CPU's result."""

from __future__ import annotations

import functools
from collections.abc import Callable

import pytest
import torch

import vitruve
from tests.fake_device import GPU, fake_gpu
from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.find_body import body_on
from vitruve.convert import convert_motion
from vitruve.convert.hands import convert_hands
from vitruve.convert.meshes import convert_meshes
from vitruve.convert.poses import convert_poses
from vitruve.formats.readers.mesh_sequence import MeshSequence
from vitruve.geometry.rotations import geodesic_distance
from vitruve.motion import Motion, bundled_clip_path, resample
from vitruve.priors.files import poses_of


@functools.cache
def body(name: str) -> BodyModel:
    return load_body(name)


@functools.cache
def clip() -> Motion:
    """A person of some shape, waving."""
    motion = vitruve.load_motion(bundled_clip_path())[60:68]
    return motion.replace(betas=torch.tensor([1.0, -0.5]), body="open-smplh", gender="neutral")


@functools.cache
def faces() -> MeshSequence:
    target = body("open-smplx-neutral")
    motion = convert_motion(clip()[:2], target).motion
    vertices = motion.replace(expression=torch.full((2, target.num_expressions), 0.5)).vertices(target)
    return MeshSequence(vertices.float(), target.faces, ())


# What is converted -> the body, and how.
CONVERSIONS: dict[str, tuple[str, Callable]] = {
    # More than one frame lies between two that are fitted.
    "fast motion": ("open-smplx-neutral", lambda to: convert_motion(resample(clip()[:4], 120.0), to)),
    "motion with gaps": (
        "open-smplx-neutral",
        lambda to: convert_motion(clip()[::2].replace(mask=torch.arange(4) != 1), to),
    ),
    "hand": ("open-mano-left", lambda to: convert_hands(clip()[::4], to)),
    "poses": (
        "open-smplx-neutral",
        lambda to: convert_poses(poses_of(clip().rotations[:2, 1:22], "ab", body("open-smplh-neutral")), to),
    ),
    "meshes": ("open-smplx-neutral", lambda to: convert_meshes(faces(), to, fps=30)),
}


@pytest.mark.parametrize("what", CONVERSIONS)
def test_a_conversion_is_done_where_the_body_is(what: str):
    name, convert = CONVERSIONS[what]
    expected = convert(body(name))
    with fake_gpu():
        found = convert(body_on(body(name), GPU))
    ours, theirs = (getattr(one, "motion", None) or one.poses for one in (expected, found))
    for value in (theirs.rotations, theirs.translation, theirs.betas, found.failed):
        assert value.device == torch.device(GPU)
    turn = geodesic_distance(ours.rotations.double(), theirs.rotations.cpu().double())
    # Two solvers: what the surface hardly tells, such as the twist of a finger, they may leave elsewhere.
    assert float(turn.rad2deg().mean()) < 0.1 and float(turn.rad2deg().max()) < 2.0
    assert abs(found.error.mean - expected.error.mean) < 0.1 and found.warnings == expected.warnings
    assert found.trusted and not found.failed.cpu().any()


def test_a_motion_may_be_on_a_gpu_and_the_bodies_not():
    expected = convert_motion(clip()[::4], body("open-smplx-neutral"))
    with fake_gpu():
        found = convert_motion(clip()[::4].to(GPU), body("open-smplx-neutral"))
    assert torch.equal(found.motion.rotations, expected.motion.rotations)
