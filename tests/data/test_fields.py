"""Fields that are added to a store: what was given comes back, whole shards at a time, whatever interrupts."""

import json

import numpy as np
import pytest
import torch

from tests.amass.amass import arrays, tree, write
from tests.data.window_stores import window_store
from vitruve import load_body, load_motion, save_motion
from vitruve.data import open_store
from vitruve.data.fields import add_contacts, add_field, field_counts
from vitruve.data.prepare import prepare
from vitruve.data.windows import make_windows
from vitruve.errors import BadData, MissingAsset, UsageError
from vitruve.motion import bundled_clip_path, foot_contacts


@pytest.fixture
def store(tmp_path):
    return window_store(tmp_path)


def keypoints(clip):
    values = np.random.default_rng(clip.frames).normal(size=(clip.frames, 4, 3))
    values[3, 2] = np.nan
    return values


def test_what_was_added_comes_back_and_is_mapped(store):
    assert add_field(store, "keypoints", keypoints) == 4
    add_field(store, "stands", lambda clip: torch.arange(clip.frames)[:, None] % 3 == torch.arange(3))
    add_field(store, "phase", lambda clip: np.arange(clip.frames, dtype=np.int32))
    store = open_store(store.path)
    assert sorted(store.fields) == ["keypoints", "phase", "stands"]
    for clip in store.clips:
        rows = range(clip.start, clip.start + clip.frames)
        assert np.array_equal(store.field("keypoints", rows), keypoints(clip).astype(np.float32), equal_nan=True)
        assert store.field("phase", rows).tolist() == list(range(clip.frames))
        assert store.field("stands", rows).dtype == torch.bool and store.field("stands", rows)[0].tolist()[0]
        assert not store.view(clip, "keypoints").flags.writeable
    counts = field_counts(store)
    assert counts["phase"] == {"shape": [], "dtype": "int32", "interpolation": "nearest", "frames": len(store)}
    assert counts["keypoints"]["interpolation"] == "linear"


def test_windows_fetch_added_fields_at_their_rate(store):
    add_field(store, "keypoints", keypoints)
    turns = torch.randn(400, 5, 3, generator=torch.Generator().manual_seed(0))
    add_field(store, "other_tree", lambda clip: turns[: clip.frames], interpolation="rotation")
    add_field(store, "phase", lambda clip: np.arange(clip.frames))
    store = open_store(store.path)
    windows = make_windows(store, 10, 30, clips=["KIT/3/c"], fields=("keypoints", "other_tree", "phase", "body"))
    batch = windows.fetch(range(len(windows)))
    assert {key: tuple(value.shape[1:]) for key, value in batch.items()} == {
        "keypoints": (10, 4, 3), "other_tree": (10, 5, 3), "phase": (10,), "body": (10, 21, 3),
        "mask": (10,), "betas": (16,), "fps": (),
    }  # fmt: skip
    clip = store.clip("KIT/3/c")
    times = np.arange(45) / 30 * 100
    expected = np.stack([np.interp(times, np.arange(151), keypoints(clip)[:, 0, i]) for i in range(3)], 1)
    ours = batch["keypoints"][:, :, 0].reshape(-1, 3)[:40]
    assert np.allclose(ours, expected[:40], atol=1e-5)
    assert batch["keypoints"].isnan().any() and batch["phase"].dtype == torch.int64
    assert np.array_equal(batch["phase"][0], [0, 3, 7, 10, 13, 17, 20, 23, 27, 30])
    assert windows.fingerprint != make_windows(store, 10, 30, clips=["KIT/3/c"]).fingerprint


def test_it_goes_on_where_it_was_stopped_and_takes_up_new_data(store, tmp_path):
    calls = []

    def values(clip):
        calls.append(clip.key)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return np.full(clip.frames, 2.0)

    with pytest.raises(KeyboardInterrupt):
        add_field(store, "twos", values)
    part = open_store(store.path)
    assert 0 < field_counts(part)["twos"]["frames"] < len(part)
    lacking = [clip for clip in part.clips if "twos" not in part.fields_of(clip)]
    for read in (lambda: part.field("twos", [lacking[0].start]), lambda: make_windows(part, 5, 30, fields=("twos",))):
        with pytest.raises(BadData, match="lacks the field 'twos'"):
            read()
    done = set(calls[:3]) - {clip.key for clip in lacking}
    calls.clear()
    calls += [""] * 4  # no further interruption
    add_field(part, "twos", values)
    assert not done & set(calls) and (open_store(store.path).field("twos", range(len(store))) == 2).all()
    write(tmp_path / "AMASS" / "CMU" / "99" / "new_poses.npz", seed=77)
    prepare([tmp_path / "AMASS"], store.path)
    calls.clear()
    calls += [""] * 4
    assert add_field(open_store(store.path), "twos", values) == 1 and calls[4:] == ["CMU/99/new"]
    assert not [path for path in store.path.rglob(".*") if path.name != ".lock"]


def test_a_set_that_is_written_anew_loses_its_fields(store, tmp_path):
    add_field(store, "twos", lambda clip: np.full(clip.frames, 2.0))
    prepare([tmp_path / "AMASS" / "KIT"], store.path, overwrite=True)
    again = open_store(store.path)
    assert [clip.key for clip in again.clips if "twos" not in again.fields_of(clip)] == ["KIT/3/c"]


@pytest.mark.parametrize(
    ("values", "name", "how"),
    [
        (lambda clip: np.zeros(clip.frames + 1), "x", None),
        (lambda clip: np.zeros((clip.frames, clip.frames)), "x", None),
        (lambda clip: np.zeros(clip.frames, complex), "x", None),
        (lambda clip: np.zeros((clip.frames, 4)), "x", "rotation"),
        (lambda clip: np.zeros(clip.frames), "body", None),
        (lambda clip: np.zeros(clip.frames), "../x", None),
        (lambda clip: np.zeros(clip.frames), "x", "cubic"),
    ],
)
def test_what_does_not_fit_is_refused_and_leaves_nothing(store, values, name, how):
    before = sorted(store.path.rglob("*"))
    with pytest.raises((BadData, UsageError)):
        add_field(store, name, values, how)
    files = [path for path in store.path.rglob("*") if path not in before and path.is_file()]
    assert [path for path in files if "0001/fields/x" not in path.as_posix()] == []
    assert "x" not in {field for clip in store.clips[:2] for field in open_store(store.path).fields_of(clip)}


def test_two_kinds_under_one_name_are_refused(store):
    add_field(store, "x", lambda clip: np.zeros(clip.frames))
    folder = next(store.path.glob("KIT/0001/fields/x"))
    for file in folder.iterdir():
        file.unlink()
    folder.rmdir()
    with pytest.raises(BadData, match="not of one kind"):
        add_field(open_store(store.path), "x", lambda clip: np.zeros((clip.frames, 2)))
    assert add_field(open_store(store.path), "x", lambda clip: np.zeros((clip.frames, 2)), overwrite=True) == 4
    assert open_store(store.path).fields["x"].shape == (2,)


@pytest.mark.parametrize("damage", ["short", "gone", "json", "newer"])
def test_a_damaged_field_is_named(store, damage):
    add_field(store, "x", lambda clip: np.zeros(clip.frames))
    folder = store.path / "CMU" / "0001" / "fields" / "x"
    file, info = folder / "smplh52.npy", folder / "field.json"
    if damage == "short":
        file.write_bytes(file.read_bytes()[:-4])
    elif damage == "gone":
        file.unlink()
    else:
        info.write_text("{" if damage == "json" else json.dumps({**json.loads(info.read_text()), "version": 99}))
    with pytest.raises(BadData) as caught:
        open_store(store.path).field("x", [0])
    assert "fields/x" in caught.value.where.replace("\\", "/") and "add the field again" in caught.value.fix


def test_a_store_without_fields_opens_as_ever(tmp_path):
    prepare([tree(tmp_path / "AMASS", {"CMU": 2})], tmp_path / "store")
    store = open_store(tmp_path / "store")
    assert store.fields == {} and field_counts(store) == {}
    with pytest.raises(UsageError, match="no field 'contacts'"):
        store.field("contacts", [0])


def test_contacts_are_those_of_the_feet_on_their_own_ground(tmp_path):
    motion = load_motion(bundled_clip_path())[200:290].replace(body="open-smplh")
    lifted = motion.replace(translation=motion.translation + torch.tensor([0, 0, 1.3]))
    save_motion(motion, tmp_path / "lab" / "a" / "walk.safetensors")
    save_motion(lifted.replace(betas=motion.betas + 0.001), tmp_path / "lab" / "a" / "lifted.safetensors")
    prepare([tmp_path / "lab"], tmp_path / "store")
    add_contacts(open_store(tmp_path / "store"))
    store = open_store(tmp_path / "store")
    low, high = (store.field("contacts", range(clip.start, clip.start + 90)) for clip in store.clips)
    assert low.dtype == torch.bool and low.shape == (90, 4) and 0.3 < low.float().mean() < 0.8
    assert (low != high).float().mean() < 0.01
    direct = foot_contacts(motion, load_body(motion.body_name))
    assert (store.field("contacts", range(90)) == direct).float().mean() > 0.9
    assert make_windows(store, 16, 30, fields=("contacts",)).fetch([0])["contacts"].dtype == torch.bool


def test_contacts_need_the_right_body(tmp_path, monkeypatch):
    monkeypatch.delenv("VITRUVE_BODIES", raising=False)
    write(tmp_path / "CMU" / "01" / "a_poses.npz", **arrays(frames=12))
    prepare([tmp_path / "CMU"], tmp_path / "store")
    with pytest.raises(MissingAsset):
        add_contacts(open_store(tmp_path / "store"), bodies=tmp_path / "none")


def test_added_fields_do_not_change_what_preparing_sees(store, tmp_path):
    add_field(store, "twos", lambda clip: np.full(clip.frames, 2.0))
    outcome = prepare([tmp_path / "AMASS", tmp_path / "own"], store.path)
    assert (outcome.clips, outcome.plan.done) == (0, 5)
