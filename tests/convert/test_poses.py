"""Poses keyed by id: files in and out, people kept apart, the same result whatever the order."""

from __future__ import annotations

import json
import pickle

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from vitruve.bodies import load_body
from vitruve.convert.convert import convert_motion
from vitruve.convert.poses import Poses, convert_poses, read_poses, write_poses
from vitruve.errors import BadData, UsageError
from vitruve.formats import load_motion
from vitruve.geometry.rotations import geodesic_distance
from vitruve.motion import bundled_clip_path

WIDTHS = {66: "smpl", 72: "smpl", 156: "smplh", 165: "smplx"}


def some_poses(count: int = 12, people: int = 1, body: str = "open-smplh") -> Poses:
    """Poses far apart in the bundled clip, of one or several people."""
    clip = load_motion(bundled_clip_path(), dtype=torch.float32)
    rows = torch.linspace(0, len(clip) - 1, count).long()
    who = torch.arange(count) % people
    betas = torch.tensor([[0.0, 0.0, 0.0], [1.0, -1.0, 0.5], [-1.0, 0.5, 1.0]])[who]
    return Poses(
        ids=tuple(f"{7 * row:06d}" for row in range(count)),
        rotations=clip.rotations[rows],
        translation=torch.zeros(count, 3),
        betas=betas if people > 1 else torch.zeros(count, 0),
        genders=("neutral",) * count,
        body=body,
        expression=None,
        mask=torch.ones(count, dtype=torch.bool),
    )


def test_poses_keep_their_ids_and_their_surface():
    poses = some_poses()
    found = convert_poses(poses, "open-smplx")
    assert found.poses.ids == poses.ids
    assert found.trusted and found.error.mean < 2.0 and found.error.jitter == 0.0
    assert found.poses.body == "open-smplx" and not found.poses.betas.any()
    body, target = load_body("open-smplh-neutral"), load_body("open-smplx-neutral")
    before = body.shaped().joints(poses.rotations, poses.translation)[:, :22]
    after = target.shaped().joints(found.poses.rotations, found.poses.translation)[:, :22]
    assert (before - after).norm(dim=-1).mean() < 0.01
    assert set(found.worst) <= set(poses.ids)


def test_the_same_body_gives_the_same_poses():
    poses = some_poses()
    found = convert_poses(poses, "open-smplh")
    assert found.error.max < 0.05
    assert torch.rad2deg(geodesic_distance(found.poses.rotations, poses.rotations)).max() < 0.1


def test_the_order_of_the_poses_does_not_matter():
    poses = some_poses(9)
    order = torch.randperm(9, generator=torch.Generator().manual_seed(1))
    shuffled = Poses(
        **{
            **vars(poses),
            "ids": tuple(poses.ids[i] for i in order),
            "rotations": poses.rotations[order],
        }
    )
    one, other = convert_poses(poses, "open-smplx").poses, convert_poses(shuffled, "open-smplx").poses
    again = [other.ids.index(name) for name in one.ids]
    body = load_body("open-smplx-neutral").shaped()
    first, second = (body.joints(these.rotations, these.translation) for these in (one, other))
    assert (first - second[again]).norm(dim=-1).max() < 5e-4


def test_each_person_is_fitted_by_itself():
    poses = some_poses(12, people=3)
    found = convert_poses(poses, "open-smplx", betas="fit", points=400)
    assert len(found.poses.betas.unique(dim=0)) == 3
    for person in range(3):
        rows = torch.arange(person, 12, 3)
        alone = convert_motion(poses.as_motion(rows), "open-smplx", points=400)
        assert torch.allclose(found.poses.betas[rows[0]], alone.motion.betas, atol=1e-4)
        assert torch.allclose(found.poses.rotations[rows], alone.motion.rotations, atol=1e-4)
    assert sorted(found.error.frames.tolist()) == list(range(12))


def test_a_pose_that_is_no_number_is_masked_and_the_others_are_done(tmp_path):
    poses = some_poses(6)
    file = write_poses(poses, tmp_path / "poses.npz")
    content = dict(np.load(file))
    content["poses"][2, 7] = np.nan
    np.savez(file, **content)
    found = convert_poses(file, "open-smplx")
    assert found.poses.mask.tolist() == [True, True, False, True, True, True]
    assert found.trusted
    again = read_poses(write_poses(found.poses, tmp_path / "out.npz"))
    assert torch.equal(again.mask, found.poses.mask)


@pytest.mark.parametrize("ending", [".npz", ".json", ".pkl"])
@pytest.mark.parametrize("people", [1, 3])
def test_written_poses_are_read_again(ending: str, people: int, tmp_path):
    poses = some_poses(7, people)
    poses.mask[3] = False
    again = read_poses(write_poses(poses, tmp_path / f"poses{ending}"))
    assert again.ids == poses.ids and again.genders == poses.genders and again.body == poses.body
    assert torch.equal(again.mask, poses.mask)
    assert (again.rotations - poses.rotations)[poses.mask].abs().max() < 1e-6
    assert torch.equal(again.betas, poses.betas) and torch.equal(again.translation, poses.translation)


@settings(max_examples=20, deadline=None)
@given(
    width=st.sampled_from(sorted(WIDTHS)),
    count=st.integers(1, 5),
    layout=st.sampled_from(["columns", "rows", "bare rows"]),
    seed=st.integers(0, 1000),
)
def test_all_layouts_of_a_file_mean_the_same(tmp_path_factory, width: int, count: int, layout: str, seed: int):
    values = np.random.default_rng(seed).normal(size=(count, width)) * 0.3
    ids = [str(100 + row) for row in range(count)]
    content = {
        "columns": {"ids": ids, "poses": values},
        "rows": {name: {"poses": row} for name, row in zip(ids, values)},
        "bare rows": dict(zip(ids, values)),
    }[layout]
    file = tmp_path_factory.mktemp("poses") / "poses.pkl"
    file.write_bytes(pickle.dumps(content))
    as_json = file.with_suffix(".json")
    as_json.write_text(json.dumps(content, default=np.ndarray.tolist))
    for path in (file, as_json):
        poses = read_poses(path)
        assert list(poses.ids) == ids
        assert poses.body == WIDTHS[width] and len(poses.rotations[0]) == {66: 24}.get(width, width // 3)
        assert poses.mask.all() and poses.genders == ("neutral",) * count


def test_ids_may_be_numbers_and_genders_bytes(tmp_path):
    file = tmp_path / "poses.npz"
    np.savez(file, ids=np.arange(2), poses=np.zeros((2, 156)), gender=np.array([b"male", b"f"]), trans=np.ones((2, 3)))
    poses = read_poses(file)
    assert poses.ids == ("0", "1") and poses.genders == ("male", "female")
    assert torch.equal(poses.translation, torch.ones(2, 3).double())


def test_the_list_of_a_data_set_is_told_from_the_poses_themselves(tmp_path):
    file = tmp_path / "ids.json"
    file.write_text(json.dumps({"12": ["AMASS", "CMU/01/01_01_poses.npz", 300]}))
    with pytest.raises(BadData, match="does not hold them"):
        read_poses(file)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"ids": ["a"], "poses": [[0.0] * 60]}, "no|not poses"),
        ({"ids": ["a", "a"], "poses": [[0.0] * 66] * 2}, "occurs twice"),
        ({"poses": [[0.0] * 66]}, "without ids"),
        ({"a": [0.0] * 66, "b": [0.0] * 72}, "other fields than the first"),
        ({"a": "walk"}, "holds no poses"),
        ({"train": ["a", "b", "c"], "valid": ["d"]}, "holds no poses"),
        ({"a": [0.0, [1.0]], "b": {"walk": 1}}, "holds no poses"),
        ({"a": [0.0] * 66, "b": "walk"}, "'b' has no values"),
        ({"ids": ["a"], "poses": [[0.0] * 66], "trans": [[0.0] * 4]}, "three numbers"),
        ({"ids": ["a", "b"], "poses": [[0.0] * 66] * 2, "betas": [[0.0]] * 3}, "betas do not fit"),
        ({"ids": ["a"], "poses": [[0.0] * 66], "body": "smplx"}, "does not fit its poses"),
        ({}, "without ids"),
        ([1, 2], "not keyed by ids"),
    ],
)
def test_files_that_cannot_be_meant_are_errors(content: object, message: str, tmp_path):
    file = tmp_path / "poses.json"
    file.write_text(json.dumps(content))
    with pytest.raises(BadData, match=message):
        read_poses(file)


def test_other_endings_and_damaged_files_are_errors(tmp_path):
    with pytest.raises(UsageError, match="not written as"):
        write_poses(some_poses(1), tmp_path / "poses.csv")
    (tmp_path / "poses.csv").write_text("1")
    with pytest.raises(UsageError, match="not read from"):
        read_poses(tmp_path / "poses.csv")
    (tmp_path / "poses.json").write_text('{"1": [0.0,')
    with pytest.raises(BadData, match="no json"):
        read_poses(tmp_path / "poses.json")


def test_nothing_is_written_over(tmp_path):
    file = write_poses(some_poses(1), tmp_path / "poses.npz")
    with pytest.raises(UsageError, match="exists already"):
        write_poses(some_poses(2), file)
    assert len(read_poses(write_poses(some_poses(2), file, overwrite=True))) == 2
