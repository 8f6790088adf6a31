"""Which frames a text means: as Python's slices, refused where nothing is left."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vitruve.errors import UsageError
from vitruve.motion.editing import frame_range

NUMBER = st.one_of(st.none(), st.integers(-30, 30))


@given(NUMBER, NUMBER, st.one_of(st.none(), st.integers(1, 5)), st.integers(1, 25))
def test_it_means_what_a_slice_means(first, end, step, count):
    words = ["" if number is None else str(number) for number in (first, end, step)]
    expected = range(count)[slice(first, end, step)]
    if len(expected):
        assert range(count)[frame_range(":".join(words), count)] == expected
    else:
        with pytest.raises(UsageError, match="no such frames"):
            frame_range(":".join(words), count)


@pytest.mark.parametrize(("text", "frames"), [("7", [7]), ("-1", [9]), ("0", [0]), ("8:", [8, 9])])
def test_one_frame_and_open_ends(text, frames):
    assert list(range(10)[frame_range(text, 10)]) == frames


@pytest.mark.parametrize("text", ["", "a:b", "1:2:3:4", "5:1:-1", "0:5:0", "1.5", ":::"])
def test_what_says_nothing_is_refused(text):
    with pytest.raises(UsageError, match="does not say which"):
        frame_range(text, 10)
