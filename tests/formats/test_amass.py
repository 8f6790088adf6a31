"""AMASS files: what is read, what is decided, and that nothing is lost on the way back."""

from __future__ import annotations

import math
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.formats.files import amass_smplh, amass_smplx, read_back, turning, write_npz
from vitruve.errors import BadData
from vitruve.formats import axis_angle, load_motion, save_motion
from vitruve.formats.axis_angle import arrays_of_file
from vitruve.formats.readers.amass import read_amass, write_amass_smplh
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.motion.checks import inspect_with_notes


def same(a: np.ndarray, b: np.ndarray) -> bool:
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


def test_smplh_clip_is_read_as_it_is(tmp_path: Path) -> None:
    arrays = amass_smplh()
    motion = load_motion(write_npz(tmp_path / "a_poses.npz", arrays))
    assert (motion.body, motion.gender, motion.skeleton.name) == ("smplh", "male", "smplh52")
    assert motion.fps == 120.00004577636719
    assert motion.dtype == torch.float64
    vectors = torch.from_numpy(arrays["poses"]).unflatten(1, (52, 3))
    assert torch.equal(motion.rotations, axis_angle_to_matrix(vectors))
    assert np.array_equal(motion.translation, arrays["trans"])
    assert np.array_equal(motion.betas, arrays["betas"])
    assert motion.source.notes == ()


@pytest.mark.parametrize("make", [amass_smplh, amass_smplx])
def test_every_key_comes_back(make, tmp_path: Path) -> None:
    arrays = make()
    motion = load_motion(write_npz(tmp_path / "in.npz", arrays))
    back = read_back(save_motion(motion, tmp_path / "out.npz"))
    for key, value in arrays.items():
        if np.asarray(value).dtype == object:
            assert back[key].item() == value.item()
        else:
            assert same(back[key], np.asarray(value)) or (key == "num_betas" and back[key] == value), key


def test_fields_of_any_name_are_carried(tmp_path: Path) -> None:
    path = tmp_path / "a.npz"
    write_npz(path, amass_smplh())
    with zipfile.ZipFile(path, "a") as archive:
        for name in ("file", "args", "allow_pickle", "arr_0", "a b/c"):
            with archive.open(f"{name}.npy", "w") as member:
                np.lib.format.write_array(member, np.arange(3))
    back = read_back(save_motion(load_motion(path), tmp_path / "b.npz"))
    assert {"file", "args", "allow_pickle", "arr_0", "a b/c"} <= back.keys()


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_unchanged_vectors_come_back_bit_for_bit_even_when_longer_than_pi(dtype, tmp_path: Path) -> None:
    poses = turning(30, 52).astype(dtype)
    poses[10:20, :3] *= 1 - 2 * math.pi / np.linalg.norm(poses[10:20, :3], axis=1, keepdims=True)
    arrays = amass_smplh(30, poses=poses, trans=np.zeros((30, 3), dtype), betas=np.zeros(16, dtype))
    motion = load_motion(write_npz(tmp_path / "in.npz", arrays))
    assert motion.rotations.numpy().dtype == dtype
    assert "longer than pi in 10" in " ".join(motion.source.notes)
    assert "jump by 2 pi, 2 in all, first at frame 10 (pelvis)" in " ".join(motion.source.notes)
    back = read_back(save_motion(motion, tmp_path / "out.npz"))
    assert same(back["poses"], poses)
    assert same(read_back(save_motion(motion[3:25:2], tmp_path / "part.npz"))["poses"], poses[3:25:2])


def test_changed_joints_are_written_anew_and_the_others_as_they_were(tmp_path: Path) -> None:
    arrays = amass_smplh()
    motion = load_motion(write_npz(tmp_path / "in.npz", arrays))
    rotations = motion.rotations.clone()
    rotations[:, 5] = rotations[:, 5] @ rotations[:, 6]
    back = read_back(save_motion(motion.replace(rotations=rotations), tmp_path / "out.npz"))["poses"].reshape(20, 52, 3)
    others = [joint for joint in range(52) if joint != 5]
    assert np.array_equal(back[:, others], arrays["poses"].reshape(20, 52, 3)[:, others])
    new = axis_angle_to_matrix(torch.from_numpy(back[:, 5]))
    assert geodesic_distance(new, rotations[:, 5]).max() < 1e-12


def test_new_vectors_run_on_without_jumps(tmp_path: Path) -> None:
    angle = torch.linspace(0, 6 * math.pi, 200, dtype=torch.float64)
    vectors = torch.zeros(200, 52, 3, dtype=torch.float64)
    vectors[:, 0, 1] = angle
    motion = load_motion(write_npz(tmp_path / "in.npz", amass_smplh(200)))
    spun = motion.replace(rotations=axis_angle_to_matrix(vectors))
    written = torch.from_numpy(arrays_of_file(spun, {})["poses"]).unflatten(1, (52, 3))
    assert (written[1:] - written[:-1]).norm(dim=-1).max() < 0.2
    assert geodesic_distance(axis_angle_to_matrix(written), spun.rotations).max() < 1e-12


@settings(max_examples=25, deadline=None)
@given(
    seed=st.integers(0, 1000),
    frames=st.integers(1, 6),
    scale=st.sampled_from([0.0, 1e-9, 1e-3, 1.0, 3.0, 6.0]),
    layout=st.sampled_from([72, 156, 165]),
    dtype=st.sampled_from([np.float32, np.float64]),
)
def test_write_then_read_is_the_identity(tmp_path_factory, seed, frames, scale, layout, dtype) -> None:
    folder = tmp_path_factory.mktemp("npz")
    random = np.random.default_rng(seed)
    arrays = {
        "poses": (scale * random.normal(size=(frames, layout))).astype(dtype),
        "trans": random.normal(size=(frames, 3)).astype(dtype),
        "betas": random.normal(size=int(random.integers(0, 20))).astype(dtype),
        "gender": np.array(["male", "female", "neutral"][seed % 3]),
        "mocap_framerate": np.array(float(random.uniform(1, 300))),
    }
    read = load_motion(write_npz(folder / "in.npz", arrays))
    again = load_motion(save_motion(read, folder / "out.npz"))
    assert torch.equal(again.rotations, read.rotations) and torch.equal(again.translation, read.translation)
    assert torch.equal(again.betas, read.betas) and again.fps == read.fps and again.gender == read.gender
    # Without the file's own vectors, the rotations are still the same to the last digits.
    bare = read.replace(source=type(read.source)())
    fresh = load_motion(save_motion(bare, folder / "bare.npz"))
    limit = 1e-12 if dtype == np.float64 else 3e-6
    assert (fresh.rotations - read.rotations).abs().max() < limit


def test_smplx_file_serves_amass_readers_and_the_blender_add_on(tmp_path: Path) -> None:
    motion = load_motion(write_npz(tmp_path / "in.npz", amass_smplx(expression=np.ones((20, 10)))))
    path = save_motion(motion.replace(source=type(motion.source)()), tmp_path / "out.npz")
    with np.load(path, allow_pickle=False) as file:  # no key needs pickle
        back = {key: file[key] for key in file.files}
    add_on = {"trans", "gender", "betas", "poses", "mocap_frame_rate"}
    amass = {"surface_model_type", "mocap_time_length", "num_betas", "root_orient", "pose_body", "pose_hand"}
    amass |= {"pose_jaw", "pose_eye", "markers_latent", "latent_labels", "markers_latent_vids"}
    assert add_on | amass | {"expression", "num_expressions", "fps", "mocap_framerate"} <= back.keys()
    assert back["poses"].shape == (20, 165)
    assert str(back["gender"]) == "female"
    assert np.array_equal(back["poses"][:, 75:], back["pose_hand"])
    assert np.array_equal(back["poses"][:, 69:75], back["pose_eye"])
    assert float(back["mocap_time_length"]) == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("fps", "first_key"), [(30.0, 30.0), (29.9999, 30.0), (120.00004577636719, 120.00004577636719), (29.97, 29.97)]
)
def test_frame_rate_survives_the_add_ons_cut_to_an_integer(fps, first_key, tmp_path: Path) -> None:
    motion = load_motion(write_npz(tmp_path / "in.npz", amass_smplx()), fps=fps)
    path = save_motion(motion, tmp_path / "out.npz")
    assert float(read_back(path)["mocap_frame_rate"]) == first_key
    assert load_motion(path).fps == fps


def test_add_on_layouts_and_split_keys_give_the_same_motion(tmp_path: Path) -> None:
    whole = load_motion(write_npz(tmp_path / "whole.npz", amass_smplx()))
    cube = amass_smplx()
    cube["poses"] = cube["poses"].reshape(20, 55, 3)
    split = amass_smplx(poses=None)
    for name, arrays in (("cube", cube), ("split", split)):
        motion = load_motion(write_npz(tmp_path / f"{name}.npz", arrays))
        assert torch.equal(motion.rotations, whole.rotations), name
        assert motion.body == "smplx" and not motion.source.notes
    lacking = load_motion(write_npz(tmp_path / "lacking.npz", amass_smplx(poses=None, pose_jaw=None, pose_hand=None)))
    assert "'pose_jaw' is missing in the file; using zeros" in lacking.source.notes
    assert torch.equal(lacking.rotations[:, 22], torch.eye(3, dtype=torch.float64).expand(20, 3, 3))


def test_smplh_files_with_parts_and_other_names_give_every_key_back(tmp_path: Path) -> None:
    poses = turning(20, 52)
    parts = {"root_orient": poses[:, :3], "pose_body": poses[:, 3:66], "pose_hand": poses[:, 66:]}
    words = {
        "surface_model_type": np.array("smplh"),
        "mocap_frame_rate": np.array(59.94),
        "mocap_time_length": np.array(20 / 59.94),
        "num_betas": np.array(16),
        "expression": np.ones((20, 3)),
    }
    arrays = amass_smplh(poses=poses, mocap_framerate=None) | parts | words
    motion = load_motion(write_npz(tmp_path / "a.npz", arrays))
    assert motion.body == "smplh" and motion.fps == 59.94 and not motion.source.notes
    back = read_back(save_motion(motion, tmp_path / "b.npz"))
    assert back.keys() == arrays.keys() | {"mocap_framerate", "vitruve_body"}
    assert all(np.array_equal(back[key], value) for key, value in arrays.items())
    # What follows from the motion is never as old as the file.
    turned = motion.replace(rotations=motion.rotations.transpose(-1, -2))[:10]
    back = read_back(save_motion(turned, tmp_path / "c.npz"))
    assert np.array_equal(back["pose_body"], back["poses"][:, 3:66])
    assert np.allclose(back["pose_body"], -parts["pose_body"][:10])
    assert back["mocap_time_length"] == pytest.approx(10 / 59.94)
    split = {key: value for key, value in arrays.items() if key != "poses"}
    assert torch.equal(load_motion(write_npz(tmp_path / "d.npz", split)).rotations, motion.rotations)


def test_parts_that_differ_from_poses_are_told(tmp_path: Path) -> None:
    arrays = amass_smplx()
    arrays["pose_body"] = arrays["pose_body"] + 0.1
    notes = load_motion(write_npz(tmp_path / "a.npz", arrays)).source.notes
    assert any("differ from 'poses'" in note for note in notes)


@pytest.mark.parametrize(
    ("value", "gender"),
    [
        (np.array("male"), "male"),
        (np.array(b"female", dtype="S6"), "female"),
        (np.array(["neutral"]), "neutral"),
        (np.array(b"male", dtype=object), "male"),
        (np.array("Female "), "female"),
        (np.array("m"), "male"),
    ],
)
def test_gender_in_every_form(value, gender, tmp_path: Path) -> None:
    motion = load_motion(write_npz(tmp_path / "a.npz", amass_smplh(gender=value)))
    assert motion.gender == gender and not motion.source.notes
    assert read_back(save_motion(motion, tmp_path / "b.npz"))["gender"].dtype.kind == "U"


def test_unknown_gender_and_absent_fields_are_noted(tmp_path: Path) -> None:
    motion = load_motion(write_npz(tmp_path / "a.npz", amass_smplh(gender=np.array("unspecified"))))
    assert motion.gender == "neutral" and "'unspecified'" in motion.source.notes[0]
    motion = load_motion(write_npz(tmp_path / "b.npz", amass_smplh(gender=None, betas=None, trans=None)))
    told = " ".join(motion.source.notes)
    assert "no gender" in told and "no betas" in told and "NO TRANSLATION" in told
    assert motion.betas.shape == (0,) and not motion.translation.any()
    motion = load_motion(write_npz(tmp_path / "c.npz", amass_smplh(gender=np.array(3))))
    assert motion.gender == "neutral" and "'3'" in motion.source.notes[0]
    assert [finding.trusted for finding in inspect_with_notes(motion) if "gender" in finding.what] == [False]


@pytest.mark.parametrize("shape", [(16,), (10,), (1, 10), (20, 10), (300,), (0,)])
def test_betas_of_every_shape(shape, tmp_path: Path) -> None:
    row = np.arange(shape[-1]) / 10
    betas = np.broadcast_to(row, shape).copy()
    motion = load_motion(write_npz(tmp_path / "a.npz", amass_smplh(betas=betas)))
    assert np.array_equal(motion.betas, row)
    assert same(read_back(save_motion(motion, tmp_path / "b.npz"))["betas"], betas)


def test_rows_of_betas_are_not_written_for_another_shape(tmp_path: Path) -> None:
    motion = load_motion(write_npz(tmp_path / "a.npz", amass_smplh(betas=np.zeros((20, 10)))))
    for betas in (torch.ones(10, dtype=torch.float64), torch.ones(4, dtype=torch.float64)):
        back = read_back(save_motion(motion.replace(betas=betas), tmp_path / "b.npz", overwrite=True))
        assert np.array_equal(back["betas"], betas)


@pytest.mark.parametrize("key", ["mocap_framerate", "mocap_frame_rate", "fps"])
def test_frame_rate_under_every_name(key, tmp_path: Path) -> None:
    arrays = amass_smplh(mocap_framerate=None) | {key: np.array([59.94])}
    assert load_motion(write_npz(tmp_path / "a.npz", arrays)).fps == 59.94


def test_given_frame_rate_counts_and_is_noted(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", amass_smplh())
    motion = load_motion(path, fps=60)
    assert motion.fps == 60 and "replaced by 60" in motion.source.notes[0]
    path = write_npz(tmp_path / "b.npz", amass_smplh(mocap_framerate=None))
    assert not load_motion(path, fps=60).source.notes
    for other in (30.0, np.nan):
        two = amass_smplh(fps=np.array(other), mocap_framerate=np.array(60.0))
        motion = load_motion(write_npz(tmp_path / "c.npz", two))
        assert motion.fps == 60 and "two frame rates" in motion.source.notes[0]


def test_values_that_are_no_numbers_are_masked_and_written_back(tmp_path: Path) -> None:
    arrays = amass_smplh()
    arrays["poses"][4, 10] = np.nan
    arrays["poses"][5] = np.nan
    arrays["trans"][5] = np.nan
    arrays["trans"][9, 1] = np.inf
    motion = load_motion(write_npz(tmp_path / "a.npz", arrays))
    assert motion.mask is not None and (~motion.mask).nonzero()[:, 0].tolist() == [4, 5, 9]
    assert motion.rotations.isfinite().all() and motion.translation.isfinite().all()
    assert "3 of 20 frames" in motion.source.notes[0]
    back = read_back(save_motion(motion, tmp_path / "b.npz"))
    assert same(back["poses"], arrays["poses"]) and same(back["trans"], arrays["trans"])


def test_frames_masked_later_are_written_as_nan(tmp_path: Path) -> None:
    motion = load_motion(write_npz(tmp_path / "a.npz", amass_smplh()))
    mask = torch.ones(20, dtype=torch.bool)
    mask[7] = False
    back = read_back(save_motion(motion.replace(mask=mask), tmp_path / "b.npz"))
    assert np.isnan(back["poses"][7]).all() and np.isnan(back["trans"][7]).all()
    assert np.isfinite(back["poses"][8]).all()


def test_precision_is_kept_or_as_asked(tmp_path: Path) -> None:
    path = write_npz(tmp_path / "a.npz", amass_smplh())
    assert load_motion(path).dtype == torch.float64
    assert load_motion(path, dtype=torch.float32).dtype == torch.float32
    half = amass_smplh(poses=amass_smplh()["poses"].astype(np.float32), trans=np.zeros((20, 3), np.float32))
    half["betas"] = half["betas"].astype(np.float32)
    assert load_motion(write_npz(tmp_path / "b.npz", half)).dtype == torch.float32


def test_extras_of_another_format_are_not_written(tmp_path: Path) -> None:
    motion = load_motion(write_npz(tmp_path / "a.npz", amass_smplx()))
    write_amass_smplh(motion.replace(rotations=motion.rotations[:, :52], skeleton=_smplh()), tmp_path / "b.npz")
    assert "markers_latent" not in read_back(tmp_path / "b.npz")


def _smplh():
    from vitruve.skeletons import load_skeleton

    return load_skeleton("smplh52")


def test_an_object_that_is_not_needed_is_left_out_and_one_that_is_needed_is_an_error(tmp_path: Path) -> None:
    class Strange:
        pass

    globals()["Strange"] = Strange
    Strange.__qualname__ = "Strange"
    arrays = amass_smplh(meta=np.array(Strange(), dtype=object))
    motion = read_amass(write_npz(tmp_path / "a.npz", arrays))
    assert "meta" not in motion.source.extras and "'meta' was left out" in motion.source.notes[0]
    ragged = np.empty(20, dtype=object)
    ragged[:] = [np.zeros(i) for i in range(20)]
    with pytest.raises(BadData, match="numeric array"):
        read_amass(write_npz(tmp_path / "b.npz", amass_smplh(poses=ragged)))


def test_rotations_in_degrees_or_beyond_all_turns_are_doubted(tmp_path: Path) -> None:
    def doubted(poses: np.ndarray) -> list[str]:
        motion = load_motion(write_npz(tmp_path / "a.npz", amass_smplh(poses=poses)))
        return [finding.what for finding in inspect_with_notes(motion) if not finding.trusted]

    poses = amass_smplh()["poses"].copy()
    assert doubted(poses) == []
    spinning = poses.copy()
    spinning[:, :3] = [0, 0, 40]  # someone who turned round six times
    assert doubted(spinning) == []
    assert "in degrees" in doubted(np.rad2deg(poses))[0]
    poses[3, 60] = 1e8
    assert "1e+08 rad" in doubted(poses)[0]


def test_a_long_file_is_turned_into_rotations_in_blocks(monkeypatch):
    """Working memory is that of a block: the same numbers, and never the whole clip at once."""
    vectors = torch.randn(3000, 4, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    whole, seen = axis_angle.axis_angle_to_matrix(vectors), []
    original = axis_angle.axis_angle_to_matrix
    monkeypatch.setattr(axis_angle, "axis_angle_to_matrix", lambda part: seen.append(len(part)) or original(part))
    rotations, valid = axis_angle.rotations_of_file(vectors)
    assert torch.equal(rotations, whole) and valid.all() and max(seen) <= 1024
