"""Vitruve's own file keeps everything, to the last bit."""

from __future__ import annotations

import json
from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from safetensors import safe_open
from safetensors.torch import save_file

from tests.formats.files import assert_tells
from tests.material import small_motion
from vitruve.errors import BadData
from vitruve.formats import load_motion, save_motion
from vitruve.motion import Motion, Source
from vitruve.skeletons import Skeleton

EXTRAS = {
    "dmpls": np.arange(96.0).reshape(12, 8),
    "counts": np.arange(5, dtype=np.uint16),
    "number": np.float64(3.5) * np.ones(()),
    "labels": np.array([b"C7", b"CLAV"], dtype="S7"),
    "words": np.array(["für", "ok"]),
    "ends": (("hand", (0.0, 0.1, 0.2)),),
    "table": {"a": 1},
    "flag": True,
}


def assert_equal(a: Motion, b: Motion) -> None:
    for name in ("rotations", "translation", "betas", "expression", "offsets", "mask"):
        one, other = getattr(a, name), getattr(b, name)
        assert (one is None) == (other is None), name
        assert one is None or (one.dtype == other.dtype and torch.equal(one, other)), name
    assert (a.fps, a.body, a.gender) == (b.fps, b.body, b.gender)
    for field in fields(Skeleton):
        one, other = getattr(a.skeleton, field.name), getattr(b.skeleton, field.name)
        assert torch.equal(one, other) if isinstance(one, torch.Tensor) else one == other, field.name
    assert (a.source.file, a.source.format, a.source.notes) == (b.source.file, b.source.format, b.source.notes)
    assert a.source.extras.keys() == b.source.extras.keys()
    for key, value in a.source.extras.items():
        other = b.source.extras[key]
        if isinstance(value, np.ndarray):
            assert value.dtype == other.dtype and value.shape == other.shape and np.array_equal(value, other), key
        else:
            assert value == other, key


@settings(max_examples=20, deadline=None)
@given(
    layout=st.sampled_from(["smpl", "smplh", "smplx"]),
    frames=st.integers(1, 12),
    dtype=st.sampled_from([torch.float32, torch.float64]),
    fps=st.floats(0.1, 1000),
    seed=st.integers(0, 100),
    masked=st.booleans(),
)
def test_write_then_read_is_the_identity(tmp_path_factory, layout, frames, dtype, fps, seed, masked) -> None:
    motion = small_motion(layout, frames, fps, seed).to(dtype=dtype)
    if masked:
        motion = motion.replace(mask=torch.arange(frames) % 2 == 0)
    assert_equal(load_motion(save_motion(motion, tmp_path_factory.mktemp("own") / "a.safetensors")), motion)


def test_everything_else_is_kept_too(tmp_path: Path) -> None:
    motion = small_motion("smplh", 12)
    skeleton = Skeleton(
        name="three",
        names=("root", "left", "right"),
        parents=(-1, 0, 0),
        pairs=((1, 2),),
        edges=((0, 1), (0, 2)),
        root=(0,),
        rest=torch.randn(3, 3),
        oks_sigmas=(0.1, 0.2, 0.3),
        source="a page",
        note="ä note",
    )
    motion = Motion(
        rotations=motion.rotations[:, :3],
        translation=motion.translation,
        fps=29.97,
        skeleton=skeleton,
        offsets=torch.randn(12, 3, 3, dtype=torch.float64),
        source=Source("walk.bvh", "bvh", EXTRAS, ("one note", "another")),
    )
    assert_equal(load_motion(save_motion(motion, tmp_path / "a.safetensors")), motion)
    assert load_motion(tmp_path / "a.safetensors", dtype=torch.float32).dtype == torch.float32


def test_what_cannot_be_written_is_noted(tmp_path: Path) -> None:
    motion = small_motion().replace(source=Source(extras={"thing": object()}))
    again = load_motion(save_motion(motion, tmp_path / "a.safetensors"))
    assert "thing" in again.source.notes[0] and not again.source.extras


def header_of(path: Path) -> tuple[dict, dict]:
    with safe_open(path, framework="pt") as file:
        metadata = file.metadata()
        return json.loads(metadata["vitruve_motion"]), {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda header, arrays: header.update(version=99), ["version", "99"]),
        (lambda header, arrays: header.pop("fps"), ["damaged", "fps"]),
        (lambda header, arrays: header.update(fps=-1), ["frame rate"]),
        (lambda header, arrays: header["skeleton"].pop("names"), ["damaged", "names"]),
        (lambda header, arrays: header["skeleton"].update(parents=[5]), ["parents"]),
        (lambda header, arrays: header.update(gender="unknown"), ["gender"]),
        (lambda header, arrays: arrays.update(translation=torch.zeros(3, 3)), ["translation", "(3, 3)"]),
        (lambda header, arrays: arrays.update(rotations=torch.zeros(12, 52, 3)), ["damaged"]),
    ],
)
def test_damaged_files(change, words, tmp_path: Path) -> None:
    path = save_motion(small_motion(), tmp_path / "a.safetensors")
    header, arrays = header_of(path)
    change(header, arrays)
    save_file(arrays, path, metadata={"vitruve_motion": json.dumps(header)})
    with pytest.raises(BadData) as error:
        load_motion(path)
    assert_tells(error, *words)


def test_truncated_and_foreign_files(tmp_path: Path) -> None:
    path = save_motion(small_motion(), tmp_path / "a.safetensors")
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(BadData) as error:
        load_motion(path)
    assert_tells(error, "truncated")
    save_file({"rotations": torch.zeros(1), "translation": torch.zeros(1)}, tmp_path / "b.safetensors")
    with pytest.raises(BadData) as error:
        load_motion(tmp_path / "b.safetensors")
    assert_tells(error, "metadata")
