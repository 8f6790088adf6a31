"""What is read from a store is what the files hold, whatever order and number it is asked for in."""

import shutil
import zipfile

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.amass.amass import arrays, tree, write
from tests.material import small_motion
from vitruve import load_motion, save_motion
from vitruve.data import open_store
from vitruve.data.prepare import prepare
from vitruve.data.read_arrays import _read_quickly, arrays_of_motion, read_arrays
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.files import npz as zip_index
from vitruve.files.npz import npz_members
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    room = tmp_path_factory.mktemp("store")
    data = tree(room / "AMASS", {"CMU": 3, "BioMotionLab_NTroje": 2})
    tree(room / "AMASS-X", {"DanceDB": 2}, make="smplx")
    save_motion(small_motion("smplx", frames=9), room / "own" / "someone" / "talk.safetensors")
    prepare([data, room / "AMASS-X", room / "own"], room / "store")
    return open_store(room / "store")


def test_every_frame_is_there_once_with_all_its_values(store):
    assert len(store) == sum(clip.frames for clip in store.clips) == 23 + 20 + 26 + 20 + 23 + 20 + 23 + 9
    for clip in store.clips:
        rows = np.arange(clip.start, clip.start + clip.frames)
        file = load_motion(clip.source)
        ours = store.motion(clip)
        assert geodesic_distance(ours.rotations.double(), file.rotations.double()).max() < 1e-6
        assert torch.equal(ours.translation, file.translation.float())
        assert torch.allclose(ours.betas.double(), file.betas.double(), atol=1e-6)
        assert (ours.fps, ours.gender, ours.body, len(ours)) == (file.fps, file.gender, file.body, len(file))
        body = axis_angle_to_matrix(store.body(rows).double())
        assert geodesic_distance(body, file.rotations[:, 1:22].double()).max() < 1e-6
        hands = axis_angle_to_matrix(store.hands(rows).double())
        assert geodesic_distance(hands, file.rotations[:, -30:].double()).max() < 1e-6
        assert torch.equal(store.translation(rows), file.translation.float())


def test_names_come_from_the_folders(store):
    keys = [clip.key for clip in store.clips]
    assert keys[:2] == ["BMLrub/s0/clip_0", "BMLrub/s0/clip_1"]
    assert store.sets == ("BMLrub", "CMU", "DanceDB", "own")
    assert store.clip("own/someone/talk").expressions == 10
    assert "non-commercial" in store.clip("CMU/s1/clip_2").licence and store.clip("own/someone/talk").licence == ""


def test_rows_in_any_order_are_the_rows_one_by_one(store):
    rows = np.random.default_rng(0).integers(0, len(store), 200)
    for read in (store.root, store.body, store.hands, store.jaw, store.eyes, store.translation, store.expression):
        together = read(rows)
        assert together.dtype == torch.float32
        assert torch.equal(together, torch.cat([read([row]) for row in rows]))
        assert torch.equal(together, read(torch.from_numpy(rows)))
    assert store.body([]).shape == (0, 21, 3)
    which, frames = store.locate(rows)
    for row, clip, frame in zip(rows, which, frames):
        assert store.clips[clip].start + frame == row and 0 <= frame < store.clips[clip].frames
    assert torch.equal(
        store.betas(rows)[:, 0].double(), torch.tensor([store.clips[i].betas[0] for i in which]).float().double()
    )


def test_face_and_expression_are_kept_and_zero_where_there_are_none(store):
    talk, dance, walk = (store.clip(key) for key in ("own/someone/talk", "DanceDB/s0/clip_0", "CMU/s0/clip_0"))
    file = load_motion(talk.source)
    assert torch.allclose(store.expression(range(talk.start, talk.start + 9)).double(), file.expression, atol=1e-6)
    poses = torch.from_numpy(arrays("smplx", 20, 0)["poses"])
    jaw = store.jaw(range(dance.start, dance.start + 20)).double()
    assert geodesic_distance(axis_angle_to_matrix(jaw), axis_angle_to_matrix(poses[:, 66:69])).max() < 1e-6
    eyes = store.eyes(range(dance.start, dance.start + 20)).double()
    assert geodesic_distance(axis_angle_to_matrix(eyes[:, 1]), axis_angle_to_matrix(poses[:, 72:75])).max() < 1e-6
    assert not store.jaw([walk.start]).any() and not store.expression([walk.start]).any()


@given(st.lists(st.floats(-40, 40), min_size=9, max_size=9))
@settings(max_examples=60)
def test_vectors_are_never_longer_than_pi_and_turn_the_same(values):
    from vitruve.data.read_arrays import _shortened

    given_, out, valid = np.array([values]), np.empty((1, 9), np.float32), np.ones(1, np.bool_)
    _shortened(given_, 0, out, valid)
    vectors = torch.from_numpy(out.reshape(3, 3).astype(np.float64))
    assert vectors.norm(dim=-1).max() <= np.pi + 1e-6 and valid.all()
    same = axis_angle_to_matrix(torch.from_numpy(given_.reshape(3, 3)))
    assert geodesic_distance(axis_angle_to_matrix(vectors), same).max() < 2e-6


@pytest.mark.parametrize("make", ["smpl", "smplh", "smplx"])
@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("change", ["", "float32", "nan"])
def test_the_quick_way_reads_what_the_careful_reader_reads(tmp_path, make, packed, change):
    members = arrays(make, 15, seed=3)
    if change == "float32":
        members = {key: np.float32(value) if value.dtype == float else value for key, value in members.items()}
    if change == "nan":
        members["poses"][4, 50], members["trans"][9, 0] = np.nan, np.inf
    path = write(tmp_path / "clip_poses.npz", make, packed=packed, **members)
    quick, careful = _read_quickly(path, None), arrays_of_motion(load_motion(path))
    assert quick is not None
    for name in careful.fields:
        a, b = (torch.from_numpy(read.fields[name].astype(np.float64)) for read in (quick, careful))
        if name != "translation":
            a, b = (axis_angle_to_matrix(value.unflatten(1, (-1, 3))) for value in (a, b))
        assert torch.allclose(a, b, atol=3e-6), name
    assert np.array_equal(quick.valid, careful.valid) and quick.valid.sum() == (13 if change == "nan" else 15)
    for word in ("skeleton", "fps", "body", "gender"):
        assert getattr(quick, word) == getattr(careful, word)
    assert np.allclose(quick.betas, careful.betas)


@pytest.mark.parametrize(("key", "value"), [("trans", 1e30), ("betas", 1e30), ("mocap_framerate", 1e300)])
def test_what_no_motion_holds_is_kept_out_as_everywhere(tmp_path, key, value):
    members = arrays("smplh", 15, seed=3)
    members[key] = np.full_like(members[key], value)
    path = write(tmp_path / "clip_poses.npz", "smplh", **members)
    with pytest.raises(BadData):
        read_arrays(path)


def test_an_unusual_file_goes_to_the_careful_reader(tmp_path):
    path = write(tmp_path / "clip.npz", betas=np.tile(np.arange(10.0), (20, 1)))
    assert read_arrays(path).betas == tuple(np.arange(10.0))
    assert _read_quickly(write(tmp_path / "more.npz", expression=np.zeros((20, 10))), None) is None
    assert _read_quickly(write(tmp_path / "two.npz", mocap_frame_rate=np.array(60.0)), None) is None


def test_frames_without_data_are_kept_and_masked(tmp_path):
    members = arrays(frames=12)
    members["poses"][5] = np.nan
    write(tmp_path / "CMU" / "01" / "a_poses.npz", **members)
    prepare([tmp_path / "CMU"], tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert len(store) == 12 and store.clips[0].masked == 1
    assert store.mask(range(12)).tolist() == [frame != 5 for frame in range(12)]
    assert store.body(range(12)).isfinite().all() and not store.body([5]).any()
    assert not store.motion(store.clips[0]).mask[5]
    assert 5 not in store.sample()


def test_errors_say_what_to_do(store, tmp_path):
    with pytest.raises(UsageError, match="no frame"):
        store.body([len(store)])
    with pytest.raises(UsageError, match="no frame -1"):
        store.body([-1])
    with pytest.raises(UsageError, match="clip_0") as caught:
        store.clip("CMU/s0/clip0")
    assert "CMU/s0/clip_0" in caught.value.fix
    with pytest.raises(MissingAsset, match="not a clip store"):
        open_store(tmp_path)


def test_a_damaged_shard_is_named(tmp_path):
    write(tmp_path / "CMU" / "01" / "a_poses.npz")
    prepare([tmp_path / "CMU"], tmp_path / "store")
    file = next((tmp_path / "store").rglob("body.f32"))
    file.write_bytes(file.read_bytes()[:-4])
    # Also where more is prepared: its clips do not count as done.
    store = tmp_path / "store"
    for work in (lambda: open_store(store).body([0]), lambda: prepare([tmp_path / "CMU"], store)):
        with pytest.raises(BadData, match="damaged") as caught:
            work()
        assert "body.f32" in caught.value.where and "0001" in caught.value.fix
    shutil.rmtree(file.parents[1])
    assert prepare([tmp_path / "CMU"], store).clips == 1
    file.unlink()
    with pytest.raises(BadData, match="damaged"):
        prepare([tmp_path / "CMU"], store)


@pytest.mark.parametrize("packed", [False, True])
@pytest.mark.parametrize("members", [1, 8, 300])
def test_the_index_of_an_npz_is_as_the_library_reads_it(tmp_path, packed, members):
    file = tmp_path / "a.npz"
    save = np.savez_compressed if packed else np.savez
    save(file, **{f"array {i}": np.arange(i) for i in range(members)})
    with file.open("rb") as stream:
        quick, careful = npz_members(stream), zip_index._members_by_zipfile(stream)
    assert quick == careful and len(quick) == members
    file.write_bytes(file.read_bytes()[:-30])
    with file.open("rb") as stream, pytest.raises(zipfile.BadZipFile):
        npz_members(stream)


@pytest.mark.parametrize("line", ["", "garbage", "[1]", "null", "{}", "frames", "skeleton"])
def test_a_damaged_index_is_named_when_read_and_when_more_is_prepared(tmp_path, line):
    data, path = tree(tmp_path / "AMASS", {"CMU": 2}), tmp_path / "store"
    prepare([data], path)
    index = path / "CMU" / "0001" / "clips.jsonl"
    first, rest = index.read_text().split("\n", 1)
    wrong = {"frames": first.replace('"frames": 20', '"frames": "a"'), "skeleton": first.replace("smplh52", "zz")}
    index.write_text(f"{wrong.get(line, line)}\n{rest}" if line else "")
    for work in (lambda: open_store(path), lambda: prepare([data], path)):
        with pytest.raises(BadData, match="index of a shard") as caught:
            work()
        assert "prepare again" in caught.value.fix


@pytest.mark.parametrize(
    "text", ["[1]", '{"shards": [1]}', '{"shards": [{"set": 1, "number": "x", "files": [[1]]}], "betas": 3}']
)
def test_a_damaged_plan_is_as_good_as_none(tmp_path, text):
    data, path = tree(tmp_path / "AMASS", {"CMU": 2}), tmp_path / "store"
    prepare([data], path)
    (path / "plan.json").write_text(text)
    assert prepare([data], path).plan.done == 2
    assert not (path / "plan.json").exists()


@pytest.mark.parametrize("text", ["{", '{"version": 99}'])
def test_nothing_is_prepared_into_a_store_that_would_not_open(tmp_path, text):
    data, path = tree(tmp_path / "AMASS", {"CMU": 2}), tmp_path / "store"
    prepare([data / "CMU"], path)
    (path / "store.json").write_text(text)
    with pytest.raises(BadData, match="the clip store"):
        prepare([data], path)
