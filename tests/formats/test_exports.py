"""Exports: what each file holds is what was said, gaps and rates are treated as told, and bad input says why."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.formats.gltf_reader import Glb
from tests.material import small_body, small_motion
from vitruve.errors import BadData, UsageError
from vitruve.formats import save_motion
from vitruve.formats.exporters.export_motion import export_motion
from vitruve.formats.exporters.table import EXPORTS
from vitruve.formats.readers.mesh_sequence import read_mesh_sequence
from vitruve.motion import Motion
from vitruve.skeletons import Skeleton


def bvh_joints(path: Path) -> tuple[list[str], np.ndarray, float]:
    """(names, [frames, joints, 3] in the file's units and axes, frame time), by a naive reading of the text."""
    head, body = path.read_text().split("MOTION")
    lines = body.strip().splitlines()
    frame_time = float(lines[1].split(":")[1])
    table = np.array([line.split() for line in lines[2:]], float)
    names, parents, offsets, channels, stack = [], [], [], [], []
    words = iter(head.split())
    for word in words:
        if word in ("ROOT", "JOINT", "End"):
            stack.append(len(names))
            parents.append(stack[-2] if len(stack) > 1 else -1)
            names.append(f"end of {names[parents[-1]]}" if word == "End" else "")
            name = next(words)
            names[-1] = names[-1] or name
            channels.append([])
        elif word == "OFFSET":
            offsets.append([float(next(words)) for _ in range(3)])
        elif word == "CHANNELS":
            channels[-1] = [next(words) for _ in range(int(next(words)))]
        elif word == "}":
            stack.pop()
    out = np.zeros((len(table), len(names), 3))
    for frame, row in enumerate(table):
        turned, column = [], 0
        for joint, parent in enumerate(parents):
            local, place = np.eye(3), np.array(offsets[joint])
            for channel in channels[joint]:
                value, axis = row[column], "XYZ".index(channel[0])
                column += 1
                if channel.endswith("position"):
                    place[axis] = value
                else:
                    c, s = np.cos(np.radians(value)), np.sin(np.radians(value))
                    turn = np.eye(3)
                    i, j = (axis + 1) % 3, (axis + 2) % 3
                    turn[i, i], turn[i, j], turn[j, i], turn[j, j] = c, -s, s, c
                    local = local @ turn
            above = turned[parent] if parent >= 0 else np.eye(3)
            out[frame, joint] = (out[frame, parent] if parent >= 0 else 0) + above @ place
            turned.append(above @ local)
    return names, out, frame_time


@pytest.mark.parametrize(("unit", "scale"), [("cm", 100), ("m", 1), ("inch", 1 / 0.0254)])
@pytest.mark.parametrize("up", ["y", "z"])
def test_a_naive_reader_finds_the_joints_of_a_bvh(tmp_path, unit, scale, up):
    body, motion = small_body("smplx"), small_motion("smplx", 4).replace(expression=None)
    export_motion(motion, tmp_path / "a.bvh", body=body, unit=unit, up=up)
    names, joints, frame_time = bvh_joints(tmp_path / "a.bvh")
    assert frame_time == pytest.approx(1 / 30)
    x, y, z = motion.joints(body).numpy().transpose(2, 0, 1)
    true = np.stack([x, z, -y] if up == "y" else [x, y, z], -1)
    found = joints[:, [names.index(name) for name in body.skeleton.names]]
    assert np.abs(found / scale - true).max() < 1e-4  # a tenth of a millimetre


@pytest.mark.parametrize("format", ["obj", "ply"])
def test_meshes_hold_the_body_whole(tmp_path, format):
    body, motion = small_body(), small_motion("smplx", 3)
    done = export_motion(motion, tmp_path / "a", body=body, format=format, unit="mm", up="y")
    assert (done.up, done.unit, done.joints, done.frames) == ("y", "mm", (), 3)
    meshes = read_mesh_sequence(tmp_path / "a", up="y", dtype=torch.float64)
    assert (meshes.vertices / 1000 - motion.vertices(body)).abs().max() < 1e-9
    head = (tmp_path / "a" / f"frame_000000.{format}").read_bytes()[:200]
    assert b"small-smplx; 30 fps; y up; mm" in head
    assert done.bytes == sum(file.stat().st_size for file in (tmp_path / "a").iterdir())


def test_one_frame_is_a_file(tmp_path):
    body, motion = small_body(), small_motion("smplx", 3)
    export_motion(motion[1:2], tmp_path / "a.obj", body=body)
    assert [path.name for path in tmp_path.iterdir()] == ["a.obj"]
    meshes = read_mesh_sequence([tmp_path / "a.obj"], dtype=torch.float64)
    assert (meshes.vertices - motion[1:2].vertices(body)).abs().max() < 1e-9
    with pytest.raises(UsageError, match="holds one frame, but there are 3"):
        export_motion(motion, tmp_path / "b.obj", body=body)


@pytest.mark.parametrize(("fps", "written"), [(25.0, 30), (29.97, 30), (59.94, 60), (120.0000457, 120), (30.0, 30)])
def test_the_add_on_can_read_the_npz(tmp_path, fps, written):
    motion = small_motion("smplx", 40, fps)
    done = export_motion(motion, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as file:
        rate = int(file["mocap_frame_rate"])  # as the add-on does
        assert rate == written and rate >= 30 and int(rate / 30) >= 1
        assert file["poses"].reshape(len(file["trans"]), -1, 3).shape == (done.frames, 55, 3)
        assert str(file["gender"]) == "female" and file["betas"].shape == (10,)
        assert np.isfinite(file["poses"]).all()
        assert (len(file["trans"]) - 1) / written == pytest.approx((len(motion) - 1) / fps, abs=1 / written)
    assert any("resampled" in note for note in done.notes) == (abs(fps - written) > 1e-3)


def test_a_rate_that_was_asked_for_is_kept_and_said_to_be_a_trap(tmp_path):
    done = export_motion(small_motion("smplx"), tmp_path / "a.npz", fps=24)
    assert done.fps == 24
    assert any("refuses less than 30" in note for note in done.notes)


def test_betas_of_the_open_body_are_said_to_be_others_for_the_add_on(tmp_path):
    done = export_motion(small_motion("smplx").replace(body="open-smplx"), tmp_path / "a.npz")
    assert any("another shape" in note and "open-smplx-female" in note for note in done.notes)


@pytest.mark.parametrize("way", ["mask", "nan"])
def test_gaps_are_held_or_dropped_and_counted(tmp_path, way):
    body, motion = small_body("smplh", correctives=False), small_motion("smplh", 6)
    bad = torch.tensor([True, False, False, True, True, False])
    if way == "mask":
        broken = motion.replace(mask=~bad, rotations=torch.where(bad[:, None, None, None], 7.0, motion.rotations))
    else:
        broken = motion.replace(translation=torch.where(bad[:, None], torch.nan, motion.translation))
    held = export_motion(broken, tmp_path / "held.glb", body=body)
    dropped = export_motion(broken, tmp_path / "dropped.glb", body=body, gaps="drop")
    assert (held.frames, held.gaps, dropped.frames, dropped.gaps) == (6, 3, 3, 3)
    assert "each repeats the last valid one" in held.notes[0] and "dropped" in dropped.notes[0]
    true = motion.joints(body)[:, 0].numpy()[:, [0, 2, 1]] * (1, 1, -1)
    for frame, shown in enumerate([1, 1, 2, 2, 2, 5]):  # before the first valid frame stands the first
        assert np.abs(Glb(tmp_path / "held.glb").joints(frame / 30)["pelvis"] - true[shown]).max() < 1e-6
    for frame, shown in enumerate([1, 2, 5]):
        assert np.abs(Glb(tmp_path / "dropped.glb").joints(frame / 30)["pelvis"] - true[shown]).max() < 1e-6


def test_a_body_keeps_its_bones(tmp_path):
    body, motion = small_body("smplh"), small_motion("smplh", 2)
    stretched = motion.replace(offsets=torch.rand(2, 52, 3, dtype=torch.float64))
    for name in ("a.glb", "a.bvh"):
        done = export_motion(stretched, tmp_path / name, body=body)
        assert done.notes == ("the motion's bones change length; the body's do not",)
    joints = np.array(list(Glb(tmp_path / "a.glb").joints(0).values()))
    assert np.abs(joints - motion.joints(body)[0].numpy()[:, [0, 2, 1]] * (1, 1, -1)).max() < 1e-5


def test_resampling_says_so(tmp_path):
    body, motion = small_body("smplh"), small_motion("smplh", 9)
    done = export_motion(motion, tmp_path / "a.glb", body=body, fps=15)
    assert (done.frames, done.fps) == (5, 15)
    assert done.notes == ("resampled from 30 to 15 fps",)
    assert Glb(tmp_path / "a.glb").accessor(Glb(tmp_path / "a.glb").json["animations"][0]["samplers"][0]["input"])[
        -1
    ] == pytest.approx(4 / 15)


@pytest.mark.parametrize(
    ("morphs", "expected"),
    [
        ("shape", (10, 0)),
        ("expression", (0, 10)),
        ("shape, expression", (10, 10)),
        ("3", (0, 3)),
        ("shape:2,1", (2, 1)),
    ],
)
def test_morphs_asked_for(tmp_path, morphs, expected):
    done = export_motion(small_motion("smplx", 2), tmp_path / "a.glb", body=small_body(), morphs=morphs)
    kinds = [name.rpartition("_")[0] for name in done.morphs]
    assert (kinds.count("shape"), kinds.count("expression")) == expected
    assert Glb(tmp_path / "a.glb").mesh["extras"]["targetNames"] == list(done.morphs)
    assert any("expression is left out" in note for note in done.notes) == (expected[1] == 0)


def test_nothing_is_written_in_a_dry_run(tmp_path):
    for name in ("a.glb", "a.bvh", "a.npz", "deep/a.usda"):
        done = export_motion(small_motion("smplx"), tmp_path / name, body=small_body(), dry_run=True)
        assert done.frames == 12 and done.bytes == 0
    assert not any(tmp_path.iterdir())


def test_files_are_replaced_only_if_asked(tmp_path):
    body, motion = small_body(), small_motion("smplx", 2)
    for path, options in ((tmp_path / "a.glb", {}), (tmp_path / "a", {"format": "ply"})):
        first = export_motion(motion, path, body=body, **options)
        with pytest.raises(UsageError, match="exists already"):
            export_motion(motion, path, body=body, dry_run=True, **options)
        again = export_motion(motion, path, body=body, overwrite=True, **options)
        assert first == again


def test_two_writings_are_the_same_bytes(tmp_path):
    body, motion = small_body(), small_motion("smplx", 4)
    for name in ("a", "b"):
        export_motion(motion, tmp_path / name / "walk.glb", body=body, morphs="expression")
    assert (tmp_path / "a" / "walk.glb").read_bytes() == (tmp_path / "b" / "walk.glb").read_bytes()


@pytest.mark.parametrize(
    ("name", "options", "message"),
    [
        ("a.gbl", {}, "no export.*did you mean '.glb'"),
        ("a", {}, "no suffix"),
        ("a.fbx", {}, "FBX is unsupported.*Blender"),
        ("a.glb", {"up": "z"}, "'z' is not a valid up axis.*omit it"),
        ("a.bvh", {"unit": "ft"}, "'ft' is not a valid unit.*choose one of: cm, m, mm, inch"),
        ("a.bvh", {"morphs": "shape"}, "no morph targets"),
        ("a.glb", {"morphs": "hair"}, "invalid morph targets 'hair'"),
        ("a.glb", {"morphs": "11"}, "has 10 expression morph targets.*at most 10"),
        ("a.glb", {"morphs": "0"}, "invalid morph targets '0'"),
        ("a.glb", {"gaps": "jump"}, "gap mode 'jump'"),
        ("a.glb", {"fps": -1}, "frame rate is not between"),
        ("a.bvh", {"format": "glb"}, "a.bvh does not end in .glb"),
    ],
)
def test_what_cannot_be_meant(tmp_path, name, options, message):
    with pytest.raises(UsageError) as error:
        export_motion(small_motion("smplx"), tmp_path / name, body=small_body(), **options)
    assert re.search(message, str(error.value), re.DOTALL)
    assert not any(tmp_path.iterdir())


def test_a_clip_without_a_valid_frame(tmp_path):
    motion = small_motion("smplx").replace(mask=torch.zeros(12, dtype=torch.bool))
    with pytest.raises(BadData, match="no frame has valid data"):
        export_motion(motion, tmp_path / "a.glb", body=small_body())


def test_a_shape_that_is_not_finite(tmp_path):
    motion = small_motion("smplx")
    with pytest.raises(BadData, match="shape is not finite"):
        export_motion(motion.replace(betas=motion.betas * torch.nan), tmp_path / "a.glb", body=small_body())


def test_the_wrong_body_and_none(tmp_path):
    motion = small_motion("smplh")
    with pytest.raises(UsageError, match="does not fit the body small-smplx"):
        export_motion(motion, tmp_path / "a.glb", body=small_body("smplx"))
    with pytest.raises(UsageError, match="the body"):
        export_motion(motion, tmp_path / "a.glb")
    with pytest.raises(UsageError, match="meshes need a body"):
        export_motion(motion, tmp_path / "a", format="obj")
    with pytest.raises(UsageError, match="holds smplx55, not smplh52"):
        export_motion(motion, tmp_path / "a.npz")
    assert not any(tmp_path.iterdir())


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written"):
        export_motion(small_motion("smplx"), tmp_path / "file" / "a.glb", body=small_body())


def test_a_plain_tree_goes_into_what_needs_no_body(tmp_path):
    rest = torch.tensor([[0.0, 0, 0], [0, 1, 0]])
    skeleton = Skeleton(name="stick", names=("a", "b"), parents=(-1, 0), rest=rest)
    motion = Motion(torch.eye(3).expand(2, 2, 3, 3), torch.zeros(2, 3), 30.0, skeleton)
    for name in ("a.glb", "a.bvh"):
        done = export_motion(motion, tmp_path / name)
        assert (done.body, done.difference, done.joints) == ("", None, ("a", "b"))


def test_the_page_has_a_row_for_every_export():
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    rows = {
        ending.strip("` "): (keeps.strip(), loses.strip(), up.strip(), unit.strip())
        for endings, keeps, loses, up, unit in re.findall(
            r"^\| (`[^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \| ([^|]+) \|$", page, flags=re.MULTILINE
        )
        for ending in endings.split(",")
    }
    assert rows.keys() == EXPORTS.keys()
    for ending, (keeps, loses, up, unit) in rows.items():
        row = EXPORTS[ending]
        assert (keeps, loses, up, unit) == (row.keeps, row.loses, " or ".join(row.ups), ", ".join(row.units)), ending


def test_the_example_of_the_page_runs(tmp_path, monkeypatch):
    save_motion(
        small_motion("smplx", 9).replace(betas=torch.zeros(4, dtype=torch.float64)), tmp_path / "walk_smplx.npz"
    )
    monkeypatch.chdir(tmp_path)
    page = (Path(__file__).parents[2] / "docs" / "export.md").read_text(encoding="utf-8")
    (example,) = re.findall(r"```python\n(.*?)```", page, flags=re.DOTALL)
    exec(compile(example, "docs/export.md", "exec"), {})
    assert Glb(tmp_path / "walk.glb").json["asset"]["extras"]["frames"] == 9
