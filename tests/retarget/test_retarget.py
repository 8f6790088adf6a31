"""Foreign skeletons to a body: a disguised body comes back, symmetries hold, and the real data sets keep the bars."""

from __future__ import annotations

import functools

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from tests.fake_device import GPU, fake_gpu
from tests.material import shared_data
from vitruve import load_motion
from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.find_body import body_on
from vitruve.errors import UsageError, VitruveError
from vitruve.geometry.rotations import geodesic_distance, rotation_about
from vitruve.motion import Motion
from vitruve.motion.clips import bundled_clip_path
from vitruve.retarget.alignment import align
from vitruve.retarget.choose_mapping import find_mapping
from vitruve.retarget.mapping import JointMap, Mapping
from vitruve.retarget.quality import added_sliding
from vitruve.retarget.retarget import actor_betas, retarget_motion
from vitruve.skeletons import Skeleton

BONES = {
    f"{side}_{joint}": f"{side}_{end}"
    for side in ("left", "right")
    for joint, end in (("hip", "knee"), ("knee", "ankle"), ("shoulder", "elbow"), ("elbow", "wrist"))
}


@functools.cache
def body() -> BodyModel:
    return load_body("open-smplh-neutral")


@functools.cache
def clip() -> Motion:
    """Two seconds of walking and turning, with a shape."""
    motion = load_motion(bundled_clip_path())[180:300:4]
    return motion.replace(betas=0.5 * torch.sin(torch.arange(8.0)))


def random_frames(joints: int, seed: int) -> Tensor:
    """[joints, 3, 3] from a joint's own axes to the body's: any rotations."""
    generator = torch.Generator().manual_seed(seed)
    matrices, _ = torch.linalg.qr(torch.randn(joints, 3, 3, generator=generator, dtype=torch.float64))
    return matrices * torch.linalg.det(matrices)[:, None, None]


def disguised(motion: Motion, frames: Tensor, scale: float) -> Motion:
    """The clip's first joints, as many as frames, as a foreign tree: other names, frames at rest, and size."""
    count = len(frames)
    parents = body().skeleton.parents[:count]
    rotations = motion.rotations[:, :count].double()
    above = torch.cat([torch.eye(3).double()[None], frames[list(parents[1:])]])
    rest = body().shaped(motion.betas).rest_joints[:count].double()
    offsets = torch.cat([rest[:1], rest[1:] - rest[list(parents[1:])]])
    offsets = scale * (above.mT @ offsets[..., None])[..., 0]
    places = [offsets[0]]
    for joint in range(1, count):
        places.append(places[parents[joint]] + offsets[joint])
    root = scale * (rest[0] + motion.translation.double())
    return Motion(
        rotations=above.mT @ rotations @ frames,
        translation=root - places[0],
        fps=motion.fps,
        skeleton=Skeleton("foreign", tuple(f"J{i}" for i in range(count)), parents, rest=torch.stack(places)),
    )


def mapping(frames: Tensor, bones: bool = False, scale: str = "whole") -> Mapping:
    names = body().skeleton.names[: len(frames)]
    rows = [
        JointMap(name, (f"J{i}",), (f"J{i}",), BONES.get(name, "") if bones else "") for i, name in enumerate(names)
    ]
    return Mapping("foreign", tuple(rows), {f"J{i}": frames[i] for i in range(len(frames))}, scale)


def differences(result: Motion, motion: Motion) -> tuple[float, float]:
    """The largest distance of joints in millimetres, and the largest turn between rotations in degrees."""
    away = (result.joints(body())[:, :22] - motion.joints(body())[:, :22]).norm(dim=-1)
    turn = geodesic_distance(result.rotations[:, :22].double(), motion.rotations[:, :22].double())
    return 1000 * float(away.max()), float(torch.rad2deg(turn.max()))


@given(seed=st.integers(0, 10**6), scale=st.sampled_from([1.0, 0.8, 1.6]))
@settings(max_examples=4, deadline=None)
def test_a_disguised_body_comes_back(seed: int, scale: float):
    frames = random_frames(22, seed)
    source = disguised(clip(), frames, scale)
    conversion = retarget_motion(source, body(), mapping=mapping(frames), betas=clip().betas)
    # The result is on the body's own size; a scaled source walks as much further.
    millimetres, degrees = differences(conversion.motion, clip())
    assert millimetres < 1.0 and degrees < 1.0
    assert conversion.trusted and conversion.error.max < 1.0
    assert torch.equal(conversion.motion.rotations[:, 22:], body().rest_rotations(len(source))[:, 22:])


def test_fingers_come_along_where_the_mapping_names_them():
    motion = load_motion(bundled_clip_path())[400:520:6].replace(betas=clip().betas)
    assert float(geodesic_distance(motion.rotations[1:, 22:], motion.rotations[:-1, 22:]).max()) > 0.1
    frames = random_frames(52, 2)
    conversion = retarget_motion(disguised(motion, frames, 1.0), body(), mapping=mapping(frames), betas=motion.betas)
    turn = geodesic_distance(conversion.motion.rotations.double(), motion.rotations.double())
    assert float(torch.rad2deg(turn.max())) < 1.0


@given(degrees=st.floats(-60, 60))
@settings(max_examples=4, deadline=None)
def test_bones_that_rest_elsewhere_are_laid_along_the_bodys(degrees: float):
    """A source that rests with its arms down has other frames than its mapping says; the bone puts that right."""
    frames = torch.eye(3, dtype=torch.float64).repeat(22, 1, 1)
    angle = torch.tensor(degrees, dtype=torch.float64).deg2rad()
    names = body().skeleton.names[:22]
    for joint in ("left_shoulder", "left_elbow"):
        frames[names.index(joint)] = rotation_about("Z", -angle)
        frames[names.index(joint.replace("left", "right"))] = rotation_about("Z", angle)
    source = disguised(clip(), frames, 1.0)
    plain = torch.eye(3, dtype=torch.float64).repeat(22, 1, 1)
    conversion = retarget_motion(source, body(), mapping=mapping(plain, bones=True), betas=clip().betas)
    millimetres, turned = differences(conversion.motion, clip())
    assert millimetres < 1.0 and turned < 1.0


def test_a_fitted_shape_has_the_sources_bones():
    frames = random_frames(22, 3)
    source = disguised(clip().replace(betas=4 * clip().betas), frames, 1.0)
    fitted = retarget_motion(source, body(), mapping=mapping(frames))
    mean_shape = retarget_motion(source, body(), mapping=mapping(frames), betas="zero", scale=1.0)
    assert fitted.error.mean < 5.0 < mean_shape.error.mean
    assert fitted.error.mean < 0.4 * mean_shape.error.mean


def test_a_giant_is_brought_to_the_bodys_size_and_it_is_said():
    frames = random_frames(22, 4)
    conversion = retarget_motion(disguised(clip(), frames, 3.0), body(), mapping=mapping(frames))
    assert conversion.error.mean < 4.0
    assert any("scaled by 0.3" in text for text in conversion.warnings)


def test_a_single_frame_is_enough():
    frames = random_frames(22, 6)
    source = disguised(clip(), frames, 1.0)[:1]
    conversion = retarget_motion(source, body(), mapping=mapping(frames))
    assert len(conversion.motion) == 1 and conversion.error.mean < 4.0


def test_turning_the_world_turns_the_result():
    frames = random_frames(22, 5)
    source = disguised(clip(), frames, 1.0)
    turn = rotation_about("Z", torch.tensor(1.2, dtype=torch.float64))
    rest = source.rest_joints()[0]
    turned = source.replace(
        rotations=torch.cat([turn @ source.rotations[:, :1], source.rotations[:, 1:]], 1),
        translation=(source.translation + rest) @ turn.T - rest,
    )
    plain, other = (retarget_motion(m, body(), mapping=mapping(frames), betas="zero").motion for m in (source, turned))
    expected = plain.joints(body()).double() @ turn.T
    assert float((other.joints(body()).double() - expected).abs().max()) < 5e-4


def test_frames_without_data_are_masked_and_disturb_no_others():
    frames = random_frames(22, 7)
    source = disguised(clip(), frames, 1.0)
    rotations, mask = source.rotations.clone(), torch.ones(len(source), dtype=torch.bool)
    rotations[4] = torch.nan
    mask[9] = False
    broken = source.replace(rotations=rotations, mask=mask)
    conversion = retarget_motion(broken, body(), mapping=mapping(frames), betas=clip().betas)
    assert conversion.failed.nonzero()[:, 0].tolist() == [4, 9]
    assert conversion.motion.mask is not None and (~conversion.motion.mask).nonzero()[:, 0].tolist() == [4, 9]
    assert bool(conversion.motion.rotations.isfinite().all()) and conversion.error.max < 1.0
    assert not conversion.trusted


def test_what_the_source_lacks_and_what_is_left_out_is_said():
    frames = random_frames(22, 9)
    source = disguised(clip(), frames, 1.0)
    whole = mapping(frames)
    few = Mapping("few", tuple(row for row in whole.joints if row.joint != "head"), whole.frames, "whole")
    warnings = retarget_motion(source, body(), mapping=few, betas="zero").warnings
    assert any("J15" in text and "omits" in text for text in warnings)
    assert any("left_index1" in text for text in warnings)


@pytest.mark.parametrize("layout", ["smpl", "smplx"])
def test_other_layouts_take_the_same_mapping(layout: str):
    frames = random_frames(22, 11)
    other = load_body(f"open-{layout}-neutral")
    conversion = retarget_motion(disguised(clip(), frames, 1.0), other, mapping=mapping(frames))
    assert conversion.motion.body == f"open-{layout}" and conversion.error.mean < 6.0


def test_errors_name_the_joint():
    frames = random_frames(22, 13)
    source = disguised(clip(), frames, 1.0)
    with pytest.raises(UsageError, match="mapping"):
        retarget_motion(source, body())
    wrong = Mapping("wrong", (JointMap("pelvis", ("J77",), ("J77",)),), {"J77": torch.eye(3)})
    with pytest.raises(UsageError, match="J77"):
        retarget_motion(source, body(), mapping=wrong)
    with pytest.raises(UsageError, match="on a body already"):
        retarget_motion(clip(), body(), mapping=mapping(frames))
    with pytest.raises(VitruveError, match="betas"):
        retarget_motion(source, body(), mapping=mapping(frames), betas=torch.zeros(999))


BANDAI = ("walk_normal_001", "walk-turn-left_active_010", "run_exhausted_034")


def real_clips(data: str) -> list[Motion]:
    if data == "bandai-namco-2":
        return [load_motion(shared_data(data) / f"dataset-2_{name}.bvh") for name in BANDAI]
    return [load_motion(shared_data(data) / f"{name}.amc")[:600] for name in ("02_01", "02_03", "02_05")]


@pytest.mark.parametrize("data", ["bandai-namco-2", "cmu-asfamc"])
def test_real_clips_keep_the_bars(data: str):
    motions = real_clips(data)
    target = load_body("open-smplx-neutral")
    betas = actor_betas(motions, target)
    assert float(betas.abs().max()) < 4.0
    for motion in motions:
        conversion = retarget_motion(motion, target, betas=betas, scale=1.0)
        assert conversion.trusted and conversion.error.mean < 15.0
        seen = align(motion, find_mapping(motion.skeleton), target, target.shaped(betas).rest_joints)
        assert added_sliding(motion, conversion.motion, seen, target) < 0.02
        assert not any("slide" in text for text in conversion.warnings)
        # No joint turns faster from frame to frame than some joint of the source does at that time.
        ours, theirs = (geodesic_distance(m.rotations[1:], m.rotations[:-1]) for m in (conversion.motion, motion))
        assert bool((ours.amax(1) < 1.3 * theirs.amax(1) + 0.05).all())


def test_a_motion_is_retargeted_where_the_body_is():
    frames = random_frames(22, 1)
    source = disguised(clip(), frames, 1.0)[::3]
    source = source.replace(mask=torch.arange(len(source)) != 3)
    expected = retarget_motion(source, body(), mapping=mapping(frames, bones=True))
    with fake_gpu():
        there = body_on(body(), GPU)
        found = retarget_motion(source, there, mapping=mapping(frames, bones=True))
        shape = actor_betas([source.to(GPU)], there, mapping=mapping(frames, bones=True))
        assert found.motion.rotations.device == found.failed.device == shape.device == torch.device(GPU)
    turn = geodesic_distance(found.motion.rotations.cpu(), expected.motion.rotations)
    assert float(torch.rad2deg(turn.max())) < 0.5 and abs(found.error.mean - expected.error.mean) < 0.05
    assert found.warnings == expected.warnings and torch.allclose(shape.cpu(), expected.motion.betas, atol=0.02)
