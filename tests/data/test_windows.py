"""Windows hold every valid frame, and what they hold is the clip at the common rate."""

import shutil
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.data.window_stores import INVALID, window_store
from vitruve.data import open_store
from vitruve.data.between_frames import between_frames
from vitruve.data.prepare import prepare
from vitruve.data.window_index import TAILS, WindowRule, _of_run
from vitruve.data.windows import make_windows
from vitruve.errors import UsageError
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance, matrix_to_axis_angle, slerp
from vitruve.motion import resample

ALL_FIELDS = ("root", "body", "hands", "jaw", "eyes", "translation", "expression")


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return window_store(tmp_path_factory.mktemp("windows"))


def same(a: dict, b: dict) -> bool:
    return a.keys() == b.keys() and all(torch.equal(a[key], b[key]) and a[key].dtype == b[key].dtype for key in a)


@given(st.integers(1, 60), st.integers(1, 40), st.integers(1, 40), st.sampled_from(TAILS), st.integers(0, 1000))
@settings(max_examples=200, deadline=None)
def test_windows_cover_a_run_frame_by_frame(frames, length, hop, tails, first):
    rule = WindowRule(length, 30, min(hop, length), tails)
    starts, counts = _of_run(first, first + frames, rule)
    covered = {frame for start, count in zip(starts, counts) for frame in range(start, start + count)}
    assert covered <= set(range(first, first + frames)) and (counts >= 1).all() and (counts <= length).all()
    assert len(set(starts)) == len(starts) and (np.diff(starts) > 0).all()
    if tails != "drop":
        assert covered == set(range(first, first + frames))
    else:
        assert (counts == length).all()
    if tails == "shift" and frames >= length:
        assert (counts == length).all()


@pytest.mark.parametrize("fps", [30.0, 20.0, 60.0, 29.97, 120.0])
@pytest.mark.parametrize("longest_gap", [0, 1, 100])
@pytest.mark.parametrize("tails", ["shift", "pad"])
def test_windows_hold_every_valid_frame(store, fps, longest_gap, tails):
    windows = make_windows(store, 16, fps, hop=7, tails=tails, longest_gap=longest_gap)
    seen = {clip.key: set() for clip in store.clips}
    mask = windows.fetch(range(len(windows)))["mask"]
    for row in range(len(windows)):
        clip, start, _ = windows.locate(row)
        seen[clip.key] |= {round(start * fps) + int(k) for k in mask[row].nonzero()[:, 0]}
        assert mask[row, 0] or longest_gap  # a run begins with a valid frame
    for clip in store.clips:
        valid = resample(store.motion(clip), fps).mask
        count = len(resample(store.motion(clip), fps))
        assert seen[clip.key] == set(range(count)) if valid is None else set(valid.nonzero()[:, 0].tolist())
    if not longest_gap:
        filled = windows.index.frames[:, None] <= np.arange(16)
        assert torch.equal(mask, torch.from_numpy(~filled))


@pytest.mark.parametrize("fps", [30.0, 20.0, 24.0, 60.0, 29.97, 120.0, 30.003])
def test_a_window_is_the_clip_resampled_and_cut(store, fps):
    windows = make_windows(store, 12, fps, hop=5, longest_gap=100, fields=ALL_FIELDS)
    batch = windows.fetch(range(len(windows)))
    for row in range(len(windows)):
        clip, start, _ = windows.locate(row)
        motion = resample(store.motion(clip), fps)
        first, frames = round(start * fps), int(windows.index.frames[row])
        cut = slice(first, first + frames)
        valid = batch["mask"][row, :frames]
        assert torch.equal(valid, torch.ones(frames) > 0 if motion.mask is None else motion.mask[cut])
        names = ("root", "body", "jaw", "eyes", "hands") if "smplx" in clip.body else ("root", "body", "hands")
        ours = torch.cat([batch[name][row, :frames].view(frames, -1, 3) for name in names], 1)
        apart = geodesic_distance(axis_angle_to_matrix(ours.double()), motion.rotations[cut].double())
        assert apart[valid].max() < 2e-6
        assert ours[valid].norm(dim=-1).max() <= np.pi + 1e-5
        assert torch.allclose(batch["translation"][row, :frames][valid], motion.translation[cut][valid], atol=1e-6)
        if motion.expression is not None:
            assert torch.allclose(batch["expression"][row, :frames], motion.expression[cut], atol=1e-6)
        else:
            assert not batch["expression"][row].any() and not batch["jaw"][row].any()
        assert torch.equal(batch["betas"][row, : len(motion.betas)], motion.betas)
        # What is filled up repeats the last frame, and is masked.
        assert not batch["mask"][row, frames:].any()
        assert (batch["body"][row, frames:] == batch["body"][row, frames - 1]).all()
    assert (batch["fps"] == torch.tensor(fps)).all()


def test_where_the_rates_divide_the_frames_are_the_stores_own(store):
    windows = make_windows(store, 10, 30, clips=["CMU/01/a"])
    batch = windows.fetch([1])
    rows = 40 + 4 * np.arange(10) + store.clip("CMU/01/a").start
    assert torch.equal(batch["body"][0], store.body(rows)) and torch.equal(batch["root"][0], store.root(rows))


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_between_frames_agrees_with_slerp(seed):
    generator = np.random.default_rng(seed)
    ends = generator.normal(size=(2, 15)).astype(np.float32)
    ends[1, :3] = ends[0, :3]  # no turn
    ends[1, 3:6] = ends[0, 3:6] + np.float32(1e-6)
    ends[:, 6:9] *= 1e-12
    share = generator.random(4)
    out = between_frames(ends, np.zeros(4, np.int64), share, "rotation")
    start, end = (axis_angle_to_matrix(torch.from_numpy(row).double().view(5, 3)) for row in ends)
    for row, part in zip(out, share):
        expected = matrix_to_axis_angle(slerp(start, end, float(part)))
        apart = axis_angle_to_matrix(torch.from_numpy(row).double().view(5, 3)), axis_angle_to_matrix(expected)
        assert geodesic_distance(*apart).max() < 1e-6


@pytest.mark.parametrize("fps", [30.0, 29.97])
def test_a_batch_is_its_members_in_any_order_and_on_any_number_of_threads(store, fps):
    windows = make_windows(store, 16, fps, hop=3, fields=ALL_FIELDS)
    rows = np.random.default_rng(0).integers(0, len(windows), 40)
    together = windows.fetch(rows)
    one_by_one = [windows.fetch([row]) for row in rows]
    assert same(together, {key: torch.cat([one[key] for one in one_by_one]) for key in together})
    assert same(together, windows.fetch(torch.from_numpy(rows)))
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(4)
        assert same(together, windows.fetch(rows))
    finally:
        torch.set_num_threads(threads)
    assert windows.fetch([])["body"].shape == (0, 16, 21, 3)


@pytest.mark.parametrize("fps", [30.0, 29.97])
def test_readers_in_several_threads_see_the_same(store, fps):
    windows = make_windows(open_store(store.path), 16, fps, hop=3, fields=ALL_FIELDS, canonical_frame=2)
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(windows.fetch, [range(len(windows))] * 8))
    alone = make_windows(store, 16, fps, hop=3, fields=ALL_FIELDS, canonical_frame=2).fetch(range(len(windows)))
    assert all(same(alone, each) for each in found)


def test_invalid_frames_end_a_run_or_are_masked(store):
    invalid = set(INVALID)
    windows = make_windows(store, 10, 60, clips=["SFU/2/d"])
    frames = {
        k for start, count in zip(windows.index.starts, windows.index.frames) for k in range(start, start + count)
    }
    assert frames == set(range(100)) - invalid
    across = make_windows(store, 10, 60, clips=["SFU/2/d"], longest_gap=1)
    # The gap of one frame is bridged, that of three is not.
    runs = set(zip(across.index.starts.tolist(), across.index.frames.tolist()))
    assert (61, 10) not in runs and any(start <= 70 < start + count for start, count in runs)
    assert not any(start <= 41 < start + count for start, count in runs)


def test_windows_follow_a_split(store, tmp_path):
    (tmp_path / "s.json").write_text('{"parts": {"train": ["CMU/01/a", "KIT/3/c"], "test": ["CMU/01/b"]}}')
    windows = make_windows(store, 8, 30, split=f"{tmp_path / 's.json'}:train")
    assert {windows.locate(row)[0].key for row in range(len(windows))} == {"CMU/01/a", "KIT/3/c"}
    with pytest.raises(UsageError, match="no windows"):
        make_windows(store, 8, 30, tails="drop", split=f"{tmp_path / 's.json'}:test")


def test_whole_numbers_serve_as_rates_and_betas_have_the_width_that_is_asked_for(store):
    whole, real = make_windows(store, 16, 30), make_windows(store, 16, 30.0)
    assert whole.fingerprint == real.fingerprint and same(whole.fetch([0]), real.fetch([0]))
    assert whole.fetch([0])["fps"].dtype == torch.float32
    betas = whole.fetch([0])["betas"]
    assert torch.equal(make_windows(store, 16, 30, num_betas=10).fetch([0])["betas"], betas[:, :10])
    wide = make_windows(store, 16, 30, num_betas=20).fetch([0])["betas"]
    assert torch.equal(wide[:, :16], betas) and wide.shape == (1, 20) and not wide[:, 16:].any()


def test_nothing_is_copied_before_it_is_asked_for(store):
    import tracemalloc

    windows = make_windows(store, 16, 30, hop=1)
    clip = store.clips[0]
    view = store.view(clip, "body")
    base = view
    while getattr(base, "base", None) is not None and not isinstance(base, np.memmap):
        base = base.base
    assert isinstance(base, np.memmap) and not view.flags.writeable
    windows.fetch([0])
    tracemalloc.start()
    windows.fetch([1])
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * 16 * 159 * 4 + 20_000  # some copies of the window, not of the store


def test_the_fingerprint_tells_data_and_rule(store):
    one = make_windows(store, 16, 30, hop=4)
    assert one.fingerprint == make_windows(store, 16, 30, hop=4).fingerprint
    others = [
        make_windows(store, 16, 30, hop=5),
        make_windows(store, 16, 20, hop=4),
        make_windows(store, 16, 30, hop=4, clips=["KIT/3/c"]),
        make_windows(store, 16, 30, hop=4, fields=("root", "body")),
        make_windows(store, 16, 30, hop=4, canonical_frame=0),
    ]
    assert len({one.fingerprint, *(other.fingerprint for other in others)}) == 6


def test_the_fingerprint_does_not_ask_where_the_store_lies_or_what_else_is_in_it(store, tmp_path):
    data = [path for path in store.path.parent.iterdir() if path.name in ("AMASS", "own")]
    shutil.copytree(store.path.parent / "AMASS" / "KIT", tmp_path / "AMASS" / "KIT")
    prepare([tmp_path / "AMASS"], tmp_path / "store")
    small = make_windows(open_store(tmp_path / "store"), 16, 30).fingerprint
    prepare(data, tmp_path / "store")
    large = open_store(tmp_path / "store")
    assert small == make_windows(large, 16, 30, clips=["KIT/3/c"]).fingerprint
    assert make_windows(large, 16, 30).fingerprint == make_windows(store, 16, 30).fingerprint


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"hop": 0}, "hop"),
        ({"hop": 9}, "hop"),
        ({"fps": 0.0}, "frame rate"),
        ({"tails": "shitf"}, "shitf"),
        ({"fields": ("bodi",)}, "bodi"),
        ({"fields": ("root", "root")}, "twice"),
        ({"labels": ["style"]}, "style"),
        ({"fields": ("body",), "canonical_frame": 0}, "canonical"),
        ({"canonical_frame": 8}, "canonical"),
    ],
)
def test_errors_say_what_is_wrong(store, changes, words):
    with pytest.raises(UsageError) as caught:
        make_windows(store, **{"length": 8, "fps": 30.0, **changes})
    assert words in f"{caught.value.what} {caught.value.where}" and caught.value.fix
    with pytest.raises(UsageError, match="no window"):
        make_windows(store, 8, 30).fetch([-1])
