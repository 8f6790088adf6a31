"""Numbers in text files: all of them or none, and any number of threads may read."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import pytest

from tests.material import small_body, small_motion
from vitruve.formats import load_motion, save_motion
from vitruve.formats.readers.mesh_sequence import read_mesh_sequence, write_mesh_sequence
from vitruve.formats.readers.plain_text import numbers


@pytest.mark.parametrize(
    ("text", "values"),
    [
        (b"", []),
        (b" \n\t ", []),
        (b"1 -2.5\n3e-4\t1e400 \r\n", [1, -2.5, 3e-4, np.inf]),
        (b"1 nan 1", [1, np.nan, 1]),
    ],
)
def test_all_numbers_are_read(text: bytes, values: list[float]) -> None:
    found = numbers(text)
    assert found is not None
    np.testing.assert_array_equal(found, values)


@pytest.mark.parametrize("text", [b"x", b"1 2 x", b"1 2 3.0x", b"1 x 3", b"1 2 3 x nan 1", b"1;2", b"1 2 0x"])
@pytest.mark.parametrize("action", ["default", "error"])
def test_anything_else_is_no_numbers(text: bytes, action: str) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter(action, DeprecationWarning)  # type: ignore[arg-type]
        assert numbers(text) is None


def test_readers_leave_the_filters_of_warnings_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are one for all threads: two that change them and put them back leave them changed."""
    motion, body = small_motion("smplh", 3), small_body("smplh")
    save_motion(motion, tmp_path / "walk.bvh", body=body)
    write_mesh_sequence(motion.vertices(body), body.faces, tmp_path / "walk")

    def refused(*_: object, **__: object) -> None:
        raise AssertionError("the filters of warnings were changed")

    with monkeypatch.context() as refusing:
        refusing.setattr(warnings, "catch_warnings", refused)
        read = load_motion(tmp_path / "walk.bvh"), read_mesh_sequence(tmp_path / "walk")
    assert [len(frames) for frames in read] == [3, 3]
