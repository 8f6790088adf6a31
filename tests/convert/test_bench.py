"""The conversion benchmark: its files are what readers expect, its judge measures right, its methods take turns."""

import dataclasses
import pickle

import numpy as np
import pytest
import torch

from tests.material import small_body, small_motion
from vitruve.bodies import load_body
from vitruve.convert import bench
from vitruve.convert.bench import Judge, Row, against_peers, methods, run_case, write_case
from vitruve.convert.bench_workers import load_bodies
from vitruve.correspondence.body_maps import correspondence
from vitruve.errors import UsageError
from vitruve.formats import save_motion


def motion_on(body, frames=6):
    motion = small_motion(body.layout, frames).to(dtype=torch.float32)
    return motion.replace(betas=motion.betas[: body.num_betas] * 0.3, gender="neutral", expression=None)


@pytest.fixture(scope="module")
def open_case(tmp_path_factory):
    source, target = load_body("open-smplh-neutral", num_betas=4), load_body("open-smplx-neutral", num_betas=6)
    return write_case(tmp_path_factory.mktemp("case"), "open", source, target, motion_on(source))


def small_case(folder):
    """Source and target are one body."""
    body = small_body("smplx").float()
    body.gender = "neutral"
    return write_case(folder, "small", body, body, motion_on(body))


def test_the_files_hold_the_bodies(open_case):
    for read, name, columns in zip(load_bodies(open_case), ("open-smplh-neutral", "open-smplx-neutral"), (4, 6)):
        body = load_body(name, num_betas=columns)
        assert read.num_betas == columns and read.gender == "neutral"
        for key in ("template", "shape_basis", "joint_regressor", "skin_weights", "pose_basis", "faces"):
            assert torch.equal(getattr(read, key), getattr(body, key)), key


def test_the_map_has_the_layout_of_the_official_file(open_case):
    file = open_case.folder / "body_models" / "smpl2smplx_deftrafo_setup.pkl"
    matrix = pickle.loads(file.read_bytes())["mtx"]
    assert matrix.shape == (10475, 2 * 6890) and matrix[:, 6890:].nnz == 0
    source, target = load_bodies(open_case)
    vertices = source.template.double()
    expected = correspondence(source, target).apply(vertices).numpy()
    assert np.allclose(matrix[:, :6890] @ vertices.numpy(), expected, atol=1e-9)


def test_the_peer_finds_what_it_needs(open_case):
    models = open_case.folder / "body_models"
    for kind in ("smplh16", "smplx"):
        assert np.load(models / kind / "kid_template.npy").any()
    with np.load(models / "smplh16" / "neutral" / "model.npz") as file:  # without pickled objects
        assert file["J_regressor"].shape == (52, 6890)


def test_the_judge_knows_a_perfect_result_and_measures_a_known_error(tmp_path):
    case = small_case(tmp_path)
    judge = Judge(case)
    perfect = judge.error_of(case.motion)
    assert perfect.max < 1e-3 and perfect.jitter < 1e-3
    moved = judge.motion.translation.clone()
    moved[::2, 0] += 0.001  # every other frame by a millimetre: the second difference is 2 mm
    report = judge.error_of(save_motion(judge.motion.replace(translation=moved), tmp_path / "moved.npz"))
    assert report.per_frame[0] == pytest.approx(1, abs=1e-3) and report.per_frame[1] < 1e-3
    assert report.jitter == pytest.approx(2, abs=1e-2)


def test_the_judge_takes_a_shape_for_each_frame(tmp_path):
    case = small_case(tmp_path)
    judge = Judge(case)
    with np.load(case.motion) as file:
        poses, trans, betas = file["poses"], file["trans"], file["betas"]
    betas = np.tile(betas, (len(poses), 1))
    np.savez(tmp_path / "each.npz", poses=poses, trans=trans, betas=betas)
    assert judge.error_of(tmp_path / "each.npz").max < 1e-3
    betas[2] += 1
    np.savez(tmp_path / "other.npz", poses=poses, trans=trans, betas=betas)
    report = judge.error_of(tmp_path / "other.npz")
    assert report.worst[0] == 2 and report.per_frame[3] < 1e-3


def test_a_motion_on_another_tree_is_refused(tmp_path):
    source, target = small_body("smplh"), small_body("smplx")
    with pytest.raises(UsageError, match="not on the source body"):
        write_case(tmp_path, "wrong", source, target, small_motion("smplx"))


def test_without_the_peer_only_ours_is_left(tmp_path, monkeypatch):
    monkeypatch.setattr(bench, "has_peer", lambda: False)
    assert bench.peer_backend(None, 1) == (None, {})
    assert [method.name for method in methods(None)] == ["vitruve"]
    assert [method.iterations for method in methods("nb")] == [1, 1, 3]


def test_ratios_are_those_of_medians(tmp_path):
    judge = Judge(small_case(tmp_path))
    error = dataclasses.replace(judge.error_of(judge_file(judge, tmp_path)), mean=1.0, jitter=0.1)
    twice = dataclasses.replace(error, mean=2.0, jitter=0.4)
    rows = [
        Row("a", "vitruve", 100, wall=[1.0, 9.0, 1.0], error=error),
        Row("a", "peer", 100, wall=[40.0], error=twice),
    ]
    assert against_peers(rows) == [("peer", pytest.approx(40), pytest.approx(0.5), pytest.approx(0.25))]


def judge_file(judge, folder):
    return save_motion(judge.motion, folder / "result.npz")


def test_a_run_from_file_to_file(open_case):
    said = []
    (row,) = run_case(open_case, methods(None), rounds=2, threads=1, progress=said.append)
    assert len(row.wall) == len(row.cpu) == len(said) == 2 and min(row.wall) > 0
    assert row.frames == 6 and 50 < row.memory_mb < 3000
    assert set(row.before) == {"start and import", "bodies", "first conversion"}
    assert row.error is not None and row.error.mean < 5
    assert row.as_dict()["frames_per_second"] == pytest.approx(6 / row.seconds)
