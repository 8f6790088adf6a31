"""How accurate a conversion must be: bars on the open body, so that accuracy cannot slip unseen.

Speed has its bars in `make bench`.
"""

import functools

import pytest
import torch

from vitruve.bodies import load_body
from vitruve.cli.bench import bench_clip
from vitruve.convert import convert_motion
from vitruve.geometry.rotations import geodesic_distance

# Spread over five seconds of turning on the spot, counting with the fingers, and sitting down.
FRAMES = slice(0, 600, 25)


@functools.cache
def body(layout):
    return load_body(f"open-{layout}-neutral", num_betas=16)


@functools.cache
def there():
    """From the SMPL+H layout to the SMPL-X layout: another mesh, another skin."""
    return convert_motion(bench_clip(600)[FRAMES], body("smplx"), source=body("smplh"))


@functools.cache
def back():
    return convert_motion(there().motion, body("smplh"), source=body("smplx"))


def test_the_surface_is_kept_within_a_millimetre_or_two():
    error = there().error
    assert there().trusted and not there().failed.any()
    assert error.mean < 1.0 and error.p95 < 2.5 and error.max < 15
    assert max(error.groups.values()) < 1.6
    assert float(error.per_frame.max()) < 1.5


def test_there_and_back_the_joints_are_where_they_were():
    clip = bench_clip(600)[FRAMES]
    per_frame = 1000 * (back().motion.joints(body("smplh")) - clip.joints(body("smplh"))).norm(dim=-1).mean(-1)
    assert per_frame.mean() < 3
    assert per_frame.max() < 10


def test_there_and_back_the_shape_is_what_it_was():
    clip, betas = bench_clip(600), back().motion.betas
    expected = torch.zeros_like(betas)
    expected[: len(clip.betas)] = clip.betas
    change = (betas - expected).abs()
    assert change.mean() < 0.1 and change.max() < 0.35


def test_onto_the_same_body_nothing_changes():
    clip = there().motion
    same = convert_motion(clip, body("smplx"), source=body("smplx"))
    assert same.error.mean < 0.05
    turned = torch.rad2deg(geodesic_distance(same.motion.rotations.double(), clip.rotations.double()))
    assert turned.max() < 0.1
    assert 1000 * (same.motion.joints(body("smplx")) - clip.joints(body("smplx"))).norm(dim=-1).max() < 0.1


def test_unrelated_poses_of_the_mean_shape():
    clip = bench_clip(600)[FRAMES]
    order = torch.randperm(len(clip), generator=torch.Generator().manual_seed(0))
    poses = clip.replace(
        rotations=clip.rotations[order], translation=clip.translation[order], betas=torch.zeros_like(clip.betas)
    )
    result = convert_motion(poses, body("smplx"), source=body("smplh"), betas="zero")
    assert not result.motion.betas.any()
    assert result.error.mean < 1.5 and not result.failed.any()


@pytest.mark.parametrize("joint", ["left_index2", "right_thumb1", "left_wrist", "right_knee", "head"])
def test_fingers_and_limbs_turn_as_they_did(joint):
    """The two layouts have one skeleton and one rest pose, so a joint's turn in its parent hardly changes."""
    clip = bench_clip(600)[FRAMES]
    one = clip.rotations[:, clip.skeleton.index(joint)].double()
    other = there().motion.rotations[:, there().motion.skeleton.index(joint)].double()
    assert torch.rad2deg(geodesic_distance(one, other)).max() < 5
