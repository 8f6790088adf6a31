"""Statistics are those of all frames at once, the same each time, and know what they were taken from."""

import json

import numpy as np
import pytest
import torch

from tests.data.window_stores import window_store
from vitruve.data import open_store
from vitruve.data.fields import add_field
from vitruve.data.statistics import load_statistics, statistics_hash, window_statistics
from vitruve.data.windows import make_windows
from vitruve.errors import BadData, MissingAsset, UsageError


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    store = window_store(tmp_path_factory.mktemp("statistics"))

    def values(clip):
        out = np.random.default_rng(clip.frames).normal(size=(clip.frames, 3)) * [1, 0, 5] + [1000, 7, 0]
        out[::4, 2] = np.nan
        return out

    add_field(store, "marks", values)
    return open_store(store.path)


def everything(windows, name):
    batch = windows.fetch(range(len(windows)))
    return batch[name].double()[batch["mask"]].numpy()


def test_they_are_those_of_all_frames_at_once(store):
    windows = make_windows(store, 9, 60, hop=1, fields=("root", "translation", "marks"))
    assert len(windows) > 2 * 64
    found = window_statistics(windows)
    for name in ("root", "translation", "marks"):
        values = everything(windows, name)
        assert np.allclose(found.mean[name], np.nanmean(values, 0), rtol=1e-12, atol=1e-12)
        assert np.allclose(found.std[name], np.maximum(np.nanstd(values, 0), 1e-3), rtol=1e-9)
        assert found.count[name] == (~np.isnan(values)).sum(0).min()
    assert found.std["marks"][1] == 1e-3  # a value that never changes
    batch = windows.fetch([0, 3])
    assert torch.allclose(found.restored(found.normalised(batch))["translation"], batch["translation"], atol=1e-5)
    assert torch.equal(found.normalised(batch)["mask"], batch["mask"])
    scaled = (everything(windows, "translation") - found.mean["translation"].numpy()) / found.std["translation"].numpy()
    assert np.allclose(scaled.mean(0), 0, atol=1e-9) and np.allclose(scaled.std(0), 1)


def test_the_same_bits_on_any_number_of_threads_and_from_the_file(store, tmp_path):
    windows = make_windows(store, 9, 29.97, hop=2, canonical_frame=0)

    def feature(batch):
        return {"reach": batch["translation"].norm(dim=-1), "bends": batch["body"].flatten(2).sin()}

    found = []
    threads = torch.get_num_threads()
    try:
        for count in (1, 4):
            torch.set_num_threads(count)
            found.append(window_statistics(windows, feature, recipe="reach 1"))
    finally:
        torch.set_num_threads(threads)
    for one in (found[1], load_statistics(found[0].save(tmp_path / "s.json"))):
        assert one.hash == found[0].hash and one.recipe == "reach 1" and one.count == found[0].count
        assert found[0].mean["bends"].shape == (63,) and found[0].mean["reach"].shape == ()
        for name in ("reach", "bends"):
            assert torch.equal(one.mean[name], found[0].mean[name]) and torch.equal(one.std[name], found[0].std[name])


def test_training_can_refuse_those_of_other_data(store):
    windows = make_windows(store, 9, 30)
    found = window_statistics(windows)
    found.check(make_windows(open_store(store.path), 9, 30))
    assert found.hash == statistics_hash(windows) != statistics_hash(windows, floor=0.1)
    for other, recipe in ((make_windows(store, 8, 30), ""), (windows, "reach 1")):
        with pytest.raises(BadData, match="other data"):
            found.check(other, recipe)


def test_errors(store, tmp_path):
    windows = make_windows(store, 9, 30)
    with pytest.raises(UsageError, match="no name"):
        window_statistics(windows, lambda batch: batch)
    with pytest.raises(MissingAsset):
        load_statistics(tmp_path / "none.json")
    for text in ("{", "[]", json.dumps({"version": 99}), json.dumps({"version": 1, "values": {}})):
        (tmp_path / "s.json").write_text(text)
        with pytest.raises(BadData, match="cannot be read"):
            load_statistics(tmp_path / "s.json")
