"""A sample is the same whatever else lies in the store, none of it twice, and as large as its rules say."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.amass.amass import tree
from vitruve.data import open_store
from vitruve.data.prepare import prepare
from vitruve.errors import UsageError


@pytest.fixture(scope="module")
def stores(tmp_path_factory):
    """A store with one set, and one with more sets around it."""
    room = tmp_path_factory.mktemp("sampling")
    tree(room / "AMASS", {"CMU": 4}, frames=83)
    tree(room / "AMASS", {"ACCAD": 1, "KIT": 6}, frames=40, seed=7000)
    prepare([room / "AMASS" / "CMU"], room / "one")
    prepare([room / "AMASS"], room / "all")
    return open_store(room / "one"), open_store(room / "all")


def frames_of(store, rows, name="CMU"):
    which, frames = store.locate(rows)
    return {(store.clips[i].key, int(frame)) for i, frame in zip(which, frames) if store.clips[i].set == name}


@given(
    fraction=st.floats(0.4, 1),  # the shortest clip then gives a frame under all the other rules
    central=st.floats(0.5, 1),
    every=st.integers(1, 4),
    fps=st.sampled_from([None, 30.0, 25.0, 240.0]),
    seed=st.integers(0, 5),
)
@settings(max_examples=40)
def test_what_is_drawn_from_a_clip_does_not_depend_on_the_others(stores, fraction, central, every, fps, seed):
    rules = {"fraction": fraction, "central": central, "every": every, "fps": fps, "seed": seed}
    one, more = (store.sample(**rules) for store in stores)
    assert frames_of(stores[0], one) == frames_of(stores[1], more)
    for rows, store in zip((one, more), stores):
        assert rows.dtype == np.int64 and np.all(np.diff(rows) > 0) and rows[-1] < len(store)


@given(fraction=st.sampled_from([0.1, 0.3, 0.5, 1.0]), central=st.sampled_from([0.5, 0.8, 1.0]))
def test_as_many_frames_are_drawn_as_the_published_sampling_draws(stores, fraction, central):
    rows = stores[1].sample(fraction=fraction, central=central)
    which, frames = stores[1].locate(rows)
    for i, clip in enumerate(stores[1].clips):
        edge = (1 - central) / 2
        first, last = int(edge * clip.frames + 1e-9), int((1 - edge) * clip.frames + 1e-9)
        drawn = frames[which == i]
        wanted = last - first if fraction == 1 else int(fraction * central * clip.frames + 1e-9)
        assert len(drawn) == wanted and drawn.min() >= first and drawn.max() < last


def test_a_lower_rate_keeps_the_nearest_frames(stores):
    store = stores[0]
    clip = store.clips[0]  # 120 fps
    assert np.array_equal(store.sample(fps=30, clips=[clip]), clip.start + np.arange(0, clip.frames, 4))
    assert np.array_equal(store.sample(fps=30, every=2, clips=[clip]), clip.start + np.arange(0, clip.frames, 8))
    steps = np.diff(store.sample(fps=50, clips=[clip]))
    assert set(steps.tolist()) == {2, 3} and abs(steps.mean() - 2.4) < 0.05
    assert np.array_equal(store.sample(fps=240, clips=[clip]), store.sample(clips=[clip.key]))


def test_balanced_gives_each_set_as_many_frames(stores):
    rows = stores[1].sample(balanced=True, seed=3)
    which, _ = stores[1].locate(rows)
    counts = {name: sum(stores[1].clips[i].set == name for i in which) for name in stores[1].sets}
    assert len(set(counts.values())) == 1 and counts["ACCAD"] == 40 and len(set(rows.tolist())) == len(rows)
    assert not np.array_equal(rows, stores[1].sample(balanced=True, seed=4))


def test_another_seed_draws_other_frames(stores):
    same, other = (stores[0].sample(fraction=0.5, seed=seed) for seed in (0, 1))
    assert np.array_equal(same, stores[0].sample(fraction=0.5)) and not np.array_equal(same, other)


@pytest.mark.parametrize("rule", [{"fraction": 0}, {"fraction": 1.5}, {"central": 0}, {"every": 0}, {"fps": -1}])
def test_impossible_rules_are_refused(stores, rule):
    with pytest.raises(UsageError, match=next(iter(rule))):
        stores[0].sample(**rule)


def test_a_sample_of_nothing_is_an_error(stores):
    with pytest.raises(UsageError, match="no frames"):
        stores[0].sample(fraction=0.001)
    with pytest.raises(UsageError, match="no clip"):
        stores[0].sample(clips=["CMU/s9/none"])
