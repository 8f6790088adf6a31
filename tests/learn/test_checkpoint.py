"""Checkpoints: what was written comes back; what cannot be written leaves the earlier one as it was."""

import resource
from pathlib import Path

import pytest
import torch

from vitruve.errors import BadData, MissingAsset, VitruveError
from vitruve.learn.checkpoint import load_checkpoint, save_checkpoint

TENSORS = {"a.weight": torch.randn(3, 4), "count": torch.tensor(7), "b": torch.zeros(0, 2, dtype=torch.float64)}


def test_tensors_and_words_come_back(tmp_path: Path):
    words = {"format": "x", "nested": {"list": [1, 2.5, None], "text": 'a "quoted" ü'}}
    save_checkpoint(tmp_path / "a.safetensors", TENSORS, words)
    tensors, found = load_checkpoint(tmp_path / "a.safetensors")
    assert found == words and tensors.keys() == TENSORS.keys()
    for key, value in TENSORS.items():
        assert torch.equal(tensors[key], value) and tensors[key].dtype == value.dtype
    assert [path.name for path in tmp_path.iterdir()] == ["a.safetensors"]


def test_equal_checkpoints_are_equal_files(tmp_path: Path):
    words = {name: name for name in "hgfedcba"}
    for i in range(3):
        save_checkpoint(tmp_path / f"{i}.safetensors", TENSORS, words)
    assert len({path.read_bytes() for path in tmp_path.iterdir()}) == 1


def test_a_full_disk_leaves_the_earlier_checkpoint(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    save_checkpoint(path, TENSORS, {"number": 1})
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (2000, limits[1]))  # writing more fails, as on a full disk
    try:
        with pytest.raises(VitruveError, match="cannot be written"):
            save_checkpoint(path, {"large": torch.zeros(10_000)}, {"number": 2})
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    tensors, words = load_checkpoint(path)
    assert words == {"number": 1} and torch.equal(tensors["a.weight"], TENSORS["a.weight"])
    assert [file.name for file in tmp_path.iterdir()] == ["a.safetensors"]


def test_a_folder_that_may_not_be_written_is_not_called_full(tmp_path: Path):
    with pytest.raises(VitruveError, match="cannot be written") as error:
        save_checkpoint(tmp_path / "gone" / "a.safetensors", TENSORS, {})
    assert "room" not in error.value.fix


def test_a_damaged_or_missing_checkpoint(tmp_path: Path):
    path = tmp_path / "a.safetensors"
    with pytest.raises(MissingAsset, match="does not exist"):
        load_checkpoint(path)
    save_checkpoint(path, TENSORS, {})
    for content in (path.read_bytes()[:-5], b""):
        path.write_bytes(content)
        with pytest.raises(BadData, match="damaged") as error:
            load_checkpoint(path)
        assert "--overwrite" in error.value.fix
