"""What users of VPoser have: bare arrays of poses, the published test files; codes written and read."""

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.command import run_command
from tests.priors.prior_material import poses
from vitruve.convert.poses import read_poses
from vitruve.errors import BadData
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.priors import load_prior
from vitruve.priors.files import bare_poses, read_any, read_codes

VECTORS = poses(12)


def write(folder: Path, kind: str) -> Path:
    flat, path = VECTORS.flatten(1), folder / f"given.{kind.rpartition('-')[2]}"
    if kind == "flat-npy":
        np.save(path, flat.numpy())
    elif kind == "joints-npy":
        np.save(path, VECTORS.double().numpy())
    elif kind == "npz":
        others = {"root_orient": np.ones((12, 3)), "betas": np.zeros(16), "trans": np.zeros((12, 3))}
        np.savez(path, pose_body=flat.numpy(), **others)
    else:
        torch.save(flat, path, _use_new_zipfile_serialization=kind != "old-pt")
    return path


@pytest.mark.parametrize("kind", ["flat-npy", "joints-npy", "npz", "pt", "old-pt"])
def test_every_form_is_read(tmp_path: Path, kind: str):
    found = read_any(write(tmp_path, kind))
    assert len(found) == 12 and found.body == "smpl"
    torch.testing.assert_close(found.rotations[:, 1:22], axis_angle_to_matrix(VECTORS), atol=1e-5, rtol=0)
    assert torch.equal(found.rotations[:, 0], torch.eye(3).expand(12, 3, 3))


def test_what_is_no_pose_is_refused(tmp_path: Path):
    np.save(tmp_path / "a.npy", np.zeros((4, 66)))
    with pytest.raises(BadData, match="21 body joints") as error:
        bare_poses(tmp_path / "a.npy")
    assert "(4, 66)" in error.value.where
    (tmp_path / "b.npy").write_bytes(b"no array")
    with pytest.raises(BadData, match="not a numpy array"):
        bare_poses(tmp_path / "b.npy")


def test_codes_and_back(tmp_path: Path):
    given, codes, out = write(tmp_path, "pt"), tmp_path / "codes.npz", tmp_path / "back.npz"
    assert run_command("prior", "encode", "open", given, "--out", codes, "--quiet") == 0
    assert run_command("prior", "encode", "open", given, "--out", codes, "--quiet") == 2
    prior = load_prior("open")
    expected = prior.encode(axis_angle_to_matrix(VECTORS)).mean
    found, ids = read_codes(codes, prior.latent)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert ids == tuple(str(i) for i in range(12))
    assert run_command("prior", "decode", "open", codes, "--out", out, "--quiet") == 0
    back = read_poses(out)
    assert back.ids == ids and back.body == "open-smplx"
    assert float(geodesic_distance(back.rotations[:, 1:22], prior.decode(expected)).max()) < 1e-3
    for step, source, name in (("encode", given, "z.npy"), ("decode", tmp_path / "z.npy", "p.npy")):
        assert run_command("prior", step, "open", source, "--out", tmp_path / name, "--quiet") == 0
    assert np.load(tmp_path / "z.npy").shape == (12, 32) and np.load(tmp_path / "p.npy").shape == (12, 63)


def test_poses_without_numbers_stay_so(tmp_path: Path):
    values = VECTORS.flatten(1).numpy().copy()
    values[3, 5] = np.nan
    np.save(tmp_path / "a.npy", values)
    assert run_command("prior", "encode", "open", tmp_path / "a.npy", "--out", tmp_path / "z.npz", "--quiet") == 0
    assert run_command("prior", "decode", "open", tmp_path / "z.npz", "--out", tmp_path / "b.npy", "--quiet") == 0
    assert np.isnan(np.load(tmp_path / "b.npy")).any(1).tolist() == [i == 3 for i in range(12)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (("encode", "open", "given.npy", "--out", "x.txt"), 2, ".npz"),
        (("decode", "open", "given.npy", "--out", "x.npz"), 4, "[poses, 32]"),
        (("decode", "open", "none.npy", "--out", "x.npz"), 3, "none.npy"),
        (("denoise", "open", "given.npy", "--out", "x.npz"), 2, "--noise-deg"),
    ],
)
def test_what_goes_wrong_is_said(tmp_path: Path, arguments, code, said, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    write(tmp_path, "flat-npy")
    assert run_command("prior", *arguments) == code
    assert said in capsys.readouterr().err and not list(tmp_path.glob("x*"))


def test_an_array_is_denoised_into_an_array(tmp_path: Path):
    given = write(tmp_path, "flat-npy")
    command = ("prior", "denoise", "open", given, "--noise-deg", 5, "--out", tmp_path / "x.npy", "--quiet")
    assert run_command(*command) == 0 and np.load(tmp_path / "x.npy").shape == (12, 63)
