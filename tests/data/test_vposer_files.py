"""The files for VPoser's training code: the store's values, part by part, of the central frames, each once."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from vitruve.cli.data_export_vposer import export_vposer as command
from vitruve.data.prepare import prepare
from vitruve.data.splits import split_by_name, write_split
from vitruve.data.store import Store, open_store
from vitruve.data.vposer_files import export_vposer
from vitruve.errors import UsageError

FRAMES = {"CMU/01/01_01": 40, "CMU/02/02_01": 25, "BioMotionLab_NTroje/rub001/a": 30}
FRAMES |= {"BioMotionLab_NTroje/rub070/a": 20, "BioMotionLab_NTroje/rub100/a": 33}


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Store, Path]:
    """A store of five clips, and the split vposer-v02_05 of it."""
    root = tmp_path_factory.mktemp("vposer")
    for number, (clip, frames) in enumerate(FRAMES.items()):
        path = root / "AMASS" / f"{clip}_poses.npz"
        path.parent.mkdir(parents=True)
        poses = np.random.default_rng(number).normal(size=(frames, 156)).astype(np.float32) * 0.3
        poses[:, 65] = np.arange(frames) / 100
        rest = {"trans": np.zeros((frames, 3)), "betas": np.zeros(16), "gender": "male", "mocap_framerate": 120.0}
        np.savez(path, poses=poses, **rest)
    prepare([root / "AMASS"], root / "store")
    store = open_store(root / "store")
    return store, write_split(split_by_name(store.clips, "vposer-v02_05"), root / "split.json")


def test_every_pose_is_one_of_the_central_frames_and_none_is_twice(made: tuple[Store, Path], tmp_path: Path):
    store, split = made
    counts = export_vposer(store, split, tmp_path / "out", fraction=0.5)
    assert sorted(path.name for path in (tmp_path / "out").iterdir() if path.is_dir()) == ["test", "train", "vald"]
    parts = {"train": [0, 1, 2], "test": [3], "vald": [4]}
    for part, clips in parts.items():
        body = torch.load(tmp_path / "out" / part / "pose_body.pt", weights_only=True)
        root = torch.load(tmp_path / "out" / part / "root_orient.pt", weights_only=True)
        assert body.dtype == root.dtype == torch.float32
        assert (len(body), len(root)) == (counts[part], counts[part])
        found = []
        for clip in clips:
            frames = list(FRAMES.values())[clip]
            poses = np.load(Path(store.path).parent / "AMASS" / f"{list(FRAMES)[clip]}_poses.npz")["poses"]
            both = torch.cat([root, body], 1)
            distance = torch.cdist(both.double(), torch.from_numpy(poses[:, :66]).double())
            rows, which = (distance < 1e-5).nonzero(as_tuple=True)
            found += rows.tolist()
            assert which.min() >= 0.1 * frames - 1 and which.max() <= 0.9 * frames
            assert len(which) == len(which.unique()) == pytest.approx(0.5 * 0.8 * frames, abs=1)
        assert sorted(found) == list(range(len(body)))
    assert json.loads((tmp_path / "out" / "results.json").read_text()) == {f"poses_{k}": n for k, n in counts.items()}
    assert not list((tmp_path / "out").rglob("*.partial"))


def test_the_same_seed_gives_the_same_files_and_another_does_not(made: tuple[Store, Path], tmp_path: Path):
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        export_vposer(*made, tmp_path / name, seed=seed)
    read = [torch.load(tmp_path / name / "train" / "pose_body.pt", weights_only=True) for name in "abc"]
    assert torch.equal(read[0], read[1]) and not torch.equal(read[0], read[2])


def test_the_command_counts_first_and_never_overwrites(
    made: tuple[Store, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    store, split = made
    command(Path(store.path), split=split, out=tmp_path / "out", dry_run=True)
    assert "vald: " in capsys.readouterr().out and not (tmp_path / "out").exists()
    command(Path(store.path), split=split, out=tmp_path / "out", quiet=True)
    with pytest.raises(UsageError):
        command(Path(store.path), split=split, out=tmp_path / "out", quiet=True)
    command(Path(store.path), split=split, out=tmp_path / "out", quiet=True, overwrite=True)
