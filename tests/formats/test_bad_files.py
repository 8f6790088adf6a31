"""Bad input: each is a clear error of three lines, of the right class, and no code of a file is ever run."""

from __future__ import annotations

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.formats.files import RunsCode, amass_smplh, amass_smplx, assert_tells, transfer_frame, turning, write_npz
from vitruve.errors import BadData, MissingAsset, VitruveError
from vitruve.formats import load_motion


def npz(**changes: Any) -> Callable[[Path], Path]:
    return lambda folder: write_npz(folder / "a.npz", amass_smplh(**changes))


def smplx(**changes: Any) -> Callable[[Path], Path]:
    return lambda folder: write_npz(folder / "a.npz", amass_smplx(**changes))


def content(data: bytes, name: str = "a.npz") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).write_bytes(data)
        return folder / name

    return make


def truncated(share: float) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = npz()(folder)
        path.write_bytes(path.read_bytes()[: int(share * path.stat().st_size)])
        return path

    return make


def damaged_member(folder: Path) -> Path:
    path = npz()(folder)
    data = bytearray(path.read_bytes())
    data[2000:2100] = bytes(100)
    path.write_bytes(data)
    return path


def folder_named(name: str, *files: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        (folder / name).mkdir()
        for file in files:
            (folder / name / file).write_text("text")
        return folder / name

    return make


def vectors(count: int) -> np.ndarray:
    return np.zeros((20, count))


def changing_betas() -> np.ndarray:
    betas = np.zeros((20, 10))
    betas[7, 2] = 0.5
    return betas


def ragged() -> np.ndarray:
    array = np.empty(20, dtype=object)
    array[:] = [np.zeros(i) for i in range(20)]
    return array


CASES: dict[str, tuple[Callable[[Path], Path], type[VitruveError], list[str]]] = {
    "no such file": (lambda folder: folder / "walk.npz", MissingAsset, ["walk.npz"]),
    "no such folder": (lambda folder: folder / "sub" / "walk.npz", MissingAsset, ["sub"]),
    "empty file": (content(b""), BadData, ["empty"]),
    "text named npz": (content(b"<html>Please log in</html>"), BadData, ["text"]),
    "garbage": (content(bytes(range(256)) * 10), BadData, ["unknown format"]),
    "zip of garbage": (content(b"PK\x03\x04" + bytes(500)), BadData, ["damaged or truncated"]),
    "truncated in the middle": (truncated(0.5), BadData, ["damaged or truncated"]),
    "truncated near the end": (truncated(0.99), BadData, ["damaged or truncated"]),
    "damaged member": (damaged_member, BadData, ["poses"]),
    "truncated pickle": (content(pickle.dumps(transfer_frame())[:-500], "a.pkl"), BadData, ["damaged"]),
    "pickle of a list": (content(pickle.dumps([1, 2]), "a.pkl"), BadData, ["transfer tool"]),
    "folder with other files": (folder_named("a.npz", "notes.txt"), BadData, ["folder without motion files"]),
    "empty folder": (folder_named("frames"), BadData, ["folder without motion files"]),
    "folder of text named pkl": (folder_named("frames", "0.pkl"), BadData, ["0.pkl"]),
    "other keys": (lambda folder: write_npz(folder / "a.npz", {"x": np.zeros(3)}), BadData, ["its keys are x"]),
    "shape file": (lambda folder: write_npz(folder / "shape.npz", {"betas": np.zeros(16)}), BadData, ["betas"]),
    "body model": (
        lambda folder: write_npz(folder / "a.npz", {"v_template": np.zeros((9, 3))}),
        BadData,
        ["body model"],
    ),
    "63 values": (npz(poses=vectors(63)), BadData, ["63 values", "without the root", "72 is SMPL"]),
    "66 values": (npz(poses=vectors(66)), BadData, ["66 values", "without hands", "156"]),
    "100 values": (npz(poses=vectors(100)), BadData, ["100 values", "(20, 100)"]),
    "flat poses": (npz(poses=np.zeros(156)), BadData, ["(156,)"]),
    "poses of text": (npz(poses=np.full((20, 156), "x")), BadData, ["'poses' is not a numeric array"]),
    "ragged object poses": (npz(poses=ragged()), BadData, ["object"]),
    "no frames": (npz(poses=np.zeros((0, 156)), trans=np.zeros((0, 3))), BadData, ["no frames"]),
    "no frames in parts": (
        smplx(poses=None, root_orient=np.zeros((0, 3)), pose_body=np.zeros((0, 63))),
        BadData,
        ["frames"],
    ),
    "trans of other length": (npz(trans=np.zeros((19, 3))), BadData, ["trans", "(19, 3)", "(20, 3)"]),
    "trans with two columns": (npz(trans=np.zeros((20, 2))), BadData, ["(20, 2)"]),
    "parts of other length": (smplx(poses=None, pose_hand=np.zeros((5, 90))), BadData, ["pose_hand", "(5, 90)"]),
    "part is a number": (smplx(poses=None, root_orient=np.array(1.0)), BadData, ["root_orient", "(1, 1)", "(1, 3)"]),
    "part too narrow": (smplx(poses=None, pose_body=np.zeros((20, 60))), BadData, ["pose_body", "(20, 63)"]),
    "part missing": (smplx(poses=None, pose_body=None), BadData, ["its keys are"]),
    "expression of other length": (smplx(expression=np.zeros((7, 10))), BadData, ["expression", "(7, 10)"]),
    "no frame rate": (npz(mocap_framerate=None), BadData, ["frame rate", "--source-fps 30", "fps=30"]),
    "frame rate zero": (npz(mocap_framerate=np.array(0.0)), BadData, ["frame rate is 0", "--source-fps 30", "fps=30"]),
    "frame rate negative": (npz(mocap_framerate=np.array(-30.0)), BadData, ["frame rate is -30"]),
    "frame rate not a number": (npz(mocap_framerate=np.array(np.nan)), BadData, ["frame rate is nan"]),
    "frame rate complex": (npz(mocap_framerate=np.array(1j)), BadData, ["frame rate is nan"]),
    "frame rate empty": (npz(mocap_framerate=np.zeros(0)), BadData, ["frame rate is nan"]),
    "frame rate text": (npz(mocap_framerate=np.array("fast")), BadData, ["frame rate"]),
    "shape changes": (npz(betas=changing_betas()), BadData, ["frame 7", "0.5", "average"]),
    "betas of other length": (npz(betas=np.zeros((3, 10))), BadData, ["(3, 10)", "(20, betas)"]),
    "betas not numbers": (npz(betas=np.full(10, np.nan)), BadData, ["betas"]),
    "betas a number": (npz(betas=np.array(1.0)), BadData, ["betas", "()"]),
    "skeleton": (
        content(b'names = ["a"]\n', "a.toml"),
        BadData,
        ["is a skeleton"],
    ),
    "safetensors of something": (
        content((2).to_bytes(8, "little") + b"{}", "a.safetensors"),
        BadData,
        ["not a motion"],
    ),
    "safetensors with a broken header": (
        content((50).to_bytes(8, "little") + b"{" * 60, "a.safetensors"),
        BadData,
        ["header"],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_file(case: str, tmp_path: Path) -> None:
    make, kind, words = CASES[case]
    path = make(tmp_path)
    with pytest.raises(kind) as error:
        load_motion(path)
    assert_tells(error, path.name, *words)


@pytest.mark.parametrize("form", ["pickle", "transfer folder", "object array", "needed object array"])
def test_no_code_of_a_file_is_run(form: str, tmp_path: Path) -> None:
    trace = tmp_path / "it ran"
    hostile = RunsCode(trace)
    if form == "pickle":
        path = content(pickle.dumps({"global_orient": hostile}), "a.pkl")(tmp_path)
    elif form == "transfer folder":
        (tmp_path / "frames").mkdir()
        path = content(pickle.dumps(transfer_frame(betas=hostile)), "frames/0.pkl")(tmp_path).parent
    else:
        key = "meta" if form == "object array" else "poses"
        path = npz(**{key: np.array(hostile, dtype=object)})(tmp_path)
    if form == "object array":
        assert "'meta' was left out" in load_motion(path).source.notes[0]
    else:
        with pytest.raises(BadData) as error:
            load_motion(path, fps=30)
        assert_tells(error, "not allowed")
    assert not trace.exists()
    pickle.loads(pickle.dumps(hostile))
    assert trace.exists()  # plain pickle would have run it


def test_unreadable_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = npz()(tmp_path)

    def refuse(*arguments: Any, **options: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(BadData) as error:
        load_motion(path)
    assert_tells(error, "cannot be read", "Permission denied", "permissions")


def test_a_pipe_or_device_is_not_waited_for() -> None:
    with pytest.raises(BadData, match="neither a file nor a folder"):
        load_motion(os.devnull)


def test_a_wrong_frame_rate_can_be_put_right(tmp_path: Path) -> None:
    assert load_motion(npz(mocap_framerate=np.array(0.0))(tmp_path), fps=30).fps == 30
    with pytest.raises(BadData, match="frame rate"):
        load_motion(tmp_path / "a.npz", fps=0)


def test_a_file_of_one_format_read_as_another(tmp_path: Path) -> None:
    path = npz()(tmp_path)
    for name in ("vitruve", "transfer-merged", "bvh"):
        with pytest.raises(VitruveError) as error:
            load_motion(path, format=name, **({"fps": 30} if name == "transfer-merged" else {}))
        assert_tells(error, "a.npz")


@pytest.mark.parametrize("value", [np.inf, np.nan, 1e300])
def test_values_that_are_no_numbers_are_masked_not_refused(tmp_path: Path, value: float) -> None:
    poses = turning(20, 52)
    poses[3] = value
    motion = load_motion(npz(poses=poses)(tmp_path))
    assert motion.mask is not None and not motion.mask[3] and torch.isfinite(motion.rotations).all()
