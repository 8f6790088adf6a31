"""Laws of cutting, joining, mirroring and reshaping."""

from __future__ import annotations

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.material import small_body, small_motion
from tests.motion.material import gappy, seeds, symmetric_body, tree_motion
from vitruve.errors import UsageError
from vitruve.geometry.rotations import geodesic_distance, rotation_error
from vitruve.motion import Motion, crop, heading, join, mirror, set_shape
from vitruve.skeletons import Skeleton

SIGN = torch.tensor([-1.0, 1.0, 1.0], dtype=torch.float64)


def same(a: Motion, b: Motion, atol: float = 1e-12) -> None:
    assert torch.allclose(a.rotations, b.rotations, atol=atol, rtol=0)
    assert torch.allclose(a.translation, b.translation, atol=atol, rtol=0)
    assert torch.equal(a.betas, b.betas) and a.fps == b.fps and a.body_name == b.body_name
    for key in ("mask", "expression", "offsets"):
        one, other = getattr(a, key), getattr(b, key)
        assert (one is None) == (other is None) and (one is None or torch.equal(one, other))


@settings(max_examples=30, deadline=None)
@given(st.floats(0.03, 0.37), st.sampled_from([24.0, 29.97, 30.0, 120.0]))
def test_crops_that_share_a_border_join_to_the_whole(border: float, fps: float):
    motion = small_motion("smplx", frames=50, fps=fps)
    border = border * motion.duration
    same(join([crop(motion, end=border), crop(motion, start=border)]), motion)


def test_a_crop_is_exact_on_the_grid():
    motion = small_motion(frames=30, fps=10.0)
    assert len(crop(motion, 0.3, 0.7)) == 4
    assert torch.equal(crop(motion, 0.3, 0.7).translation, motion.translation[3:7])
    with pytest.raises(UsageError, match="crop is empty"):
        crop(motion, 2.0, 1.0)
    with pytest.raises(UsageError, match="crop is empty"):
        crop(motion, 5.0)


@settings(max_examples=20, deadline=None)
@given(seeds, st.sampled_from(["smpl", "smplh", "smplx"]))
def test_mirrored_twice_is_the_identity(seed: int, layout: str):
    body = small_body(layout, vertices=60)
    motion = small_motion(layout, seed=seed)
    same(mirror(mirror(motion)), motion)
    same(mirror(mirror(motion, body), body), motion)
    assert float(rotation_error(mirror(motion).rotations).max()) < 1e-9


@settings(max_examples=15, deadline=None)
@given(seeds)
def test_a_symmetric_body_mirrors_every_joint_and_vertex(seed: int):
    body = symmetric_body()
    motion = small_motion(seed=seed, frames=3).replace(gender="neutral")
    flip = list(body.skeleton.flip)
    for out in (mirror(motion), mirror(motion, body)):
        assert torch.allclose(out.joints(body), motion.joints(body)[:, flip] * SIGN, atol=1e-10)
    half = body.num_vertices // 2
    swapped = torch.cat([torch.arange(half, 2 * half), torch.arange(half)])
    assert torch.allclose(mirror(motion).vertices(body), motion.vertices(body)[:, swapped] * SIGN, atol=1e-10)


@settings(max_examples=15, deadline=None)
@given(seeds, st.integers(0, 2))
def test_a_plain_tree_mirrors_with_its_rest_positions(seed: int, lateral: int):
    motion = tree_motion(seed, lateral=lateral)
    out = mirror(motion)
    flip = list(motion.skeleton.flip)
    assert torch.allclose(out.joints(), motion.joints()[:, flip] * SIGN, atol=1e-10)
    assert out.skeleton.rest is not None and motion.skeleton.rest is not None
    # The pairs of the tree still lie apart along its own axis, left where left was.
    assert torch.equal(out.skeleton.rest[1], motion.skeleton.rest[1])
    again = mirror(out)
    same(again, motion)
    assert again.skeleton.rest is not None and torch.equal(again.skeleton.rest, motion.skeleton.rest)
    moving = motion.replace(offsets=torch.rand(15, 6, 3, dtype=torch.float64))
    assert torch.allclose(mirror(moving).joints(), moving.joints()[:, flip] * SIGN, atol=1e-10)


def test_what_has_no_sides_cannot_be_mirrored():
    tree = tree_motion()
    no_pairs = Skeleton(name="s", names=tree.skeleton.names, parents=tree.skeleton.parents, rest=tree.skeleton.rest)
    with pytest.raises(UsageError, match="left and right"):
        mirror(tree.replace(skeleton=no_pairs))
    crooked = Skeleton(
        name="s", names=tree.skeleton.names, parents=tree.skeleton.parents, rest=tree.skeleton.rest, pairs=((1, 4),)
    )
    with pytest.raises(UsageError, match="sides differ"):
        mirror(tree.replace(skeleton=crooked))
    with pytest.raises(UsageError, match="the body"):
        mirror(small_motion().replace(body=""))


@settings(max_examples=20, deadline=None)
@given(seeds, st.integers(1, 8))
def test_a_blend_starts_and_ends_on_the_clips(seed: int, overlap: int):
    a, b = (
        small_motion("smplx", seed=seed),
        small_motion("smplx", seed=seed + 1).replace(betas=small_motion("smplx", seed=seed).betas),
    )
    out = join([a, b], blend=overlap / 30)
    assert len(out) == len(a) + len(b) - overlap
    start = len(a) - overlap
    assert torch.equal(out.rotations[:start], a.rotations[:start])
    assert torch.equal(out.rotations[len(a) :], b.rotations[overlap:])
    assert float(rotation_error(out.rotations).max()) < 1e-9
    between = geodesic_distance(a.rotations[start:], b.rotations[:overlap])
    assert bool((geodesic_distance(a.rotations[start:], out.rotations[start : len(a)]) <= between + 1e-6).all())


def test_a_clip_blended_over_itself_is_itself():
    motion = small_motion("smplx", frames=20)
    same(join([motion[:12], motion[8:]], blend=4 / 30), motion, atol=1e-9)


@settings(max_examples=10, deadline=None)
@given(seeds, st.integers(0, 6))
def test_an_aligned_clip_starts_where_the_last_one_has_come_to(seed: int, overlap: int):
    body = small_body("smplh", vertices=60)
    a, b = small_motion(seed=seed), small_motion(seed=seed + 1).replace(betas=small_motion(seed=seed).betas)
    out = join([a, b], blend=overlap / 30, align="heading", body=body)
    meeting = out[len(a) - max(overlap, 1) :][:1]
    tail = out[len(out) - len(b) + overlap :]
    root = tail.joints(body)[-1, 0] - meeting.joints(body)[0, 0]
    own = b.joints(body)[-1, 0] - b.joints(body)[0, 0]
    assert torch.allclose(root[:2].norm(), own[:2].norm(), atol=1e-6) and torch.allclose(
        tail.joints(body)[-1, 0, 2], b.joints(body)[-1, 0, 2]
    )
    if overlap == 0:
        turn = heading(out, body)[len(a)] - heading(a, body)[-1]
        assert abs(float(torch.sin(turn / 2))) < 1e-6


def test_masks_join_and_unequal_motions_do_not():
    motion = small_motion(frames=10)
    out = join([motion, gappy(motion, (0, 2))], blend=1 / 30)
    assert out.mask is not None and out.mask.tolist() == [True] * 9 + [False] * 2 + [True] * 8
    others = {
        "skeleton": small_motion("smplx"),
        "frame rate": motion.replace(fps=25.0),
        "shape": motion.replace(betas=motion.betas + 1),
        "body": motion.replace(gender="male"),
        "expression": motion.replace(expression=torch.zeros(10, 3)),
    }
    for what, other in others.items():
        with pytest.raises(UsageError, match=what):
            join([motion, other])
    with pytest.raises(UsageError, match="overlap"):
        join([motion, motion], blend=2.0)
    with pytest.raises(UsageError, match="no motions"):
        join([])


def test_another_shape_keeps_the_root_where_it_was():
    body = small_body("smplh", vertices=60)
    motion = small_motion()
    out = set_shape(motion, motion.betas + 1, body)
    assert torch.allclose(out.joints(body)[:, 0], motion.joints(body)[:, 0], atol=1e-10)
    assert not torch.allclose(out.joints(body)[:, 20], motion.joints(body)[:, 20], atol=1e-3)
    assert torch.equal(set_shape(motion, motion.betas[:4]).translation, motion.translation)
