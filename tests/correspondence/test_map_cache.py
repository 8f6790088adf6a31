"""Computed maps are kept, found again from either side, made anew when damaged, and never in the way."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tests.material import small_body
from vitruve.bodies import BodyModel, BodyNotice
from vitruve.correspondence import map_cache
from vitruve.correspondence.computed_map import VertexMap
from vitruve.correspondence.map_cache import cached_maps, default_folder


def _map(points: int, others: int, seed: int) -> VertexMap:
    random = np.random.default_rng(seed)
    region = random.random(points) < 0.1
    return VertexMap(random.integers(others, size=(points, 3)), random.random((points, 3)), {"inner head": region})


@pytest.fixture
def counted(monkeypatch) -> list[str]:
    """Replaces the computation by a quick one that notes each call."""
    calls: list[str] = []

    def quick(source: BodyModel, target: BodyModel) -> tuple[VertexMap, VertexMap]:
        calls.append(f"{source.name} to {target.name}")
        sizes = source.num_vertices, target.num_vertices
        return _map(sizes[1], sizes[0], sizes[1]), _map(sizes[0], sizes[1], sizes[0])

    monkeypatch.setattr(map_cache, "compute_maps", quick)
    return calls


def _same(a: VertexMap, b: VertexMap) -> bool:
    regions = a.regions.keys() == b.regions.keys() and all((a.regions[k] == b.regions[k]).all() for k in a.regions)
    return bool((a.vertices == b.vertices).all() and (a.weights == b.weights).all() and regions)


@pytest.fixture
def bodies() -> tuple[BodyModel, BodyModel]:
    return small_body("smplh", 200), small_body("smplx", 300)


def test_the_second_time_and_the_way_back_come_from_the_file(bodies, counted, tmp_path):
    source, target = bodies
    with pytest.warns(BodyNotice, match="computing the surface map"):
        there, back = cached_maps(source, target, tmp_path)
    again, again_back = cached_maps(source, target, tmp_path)
    reverse, forward = cached_maps(target, source, tmp_path)
    assert len(counted) == 1
    assert _same(there, again) and _same(back, again_back)
    assert _same(reverse, back) and _same(forward, there)
    assert len(there.vertices) == target.num_vertices


def test_another_body_is_another_file(bodies, counted, tmp_path):
    source, target = bodies
    cached_maps(source, target, tmp_path)
    moved = small_body("smplx", 300)
    moved.template = moved.template + 0.001
    cached_maps(source, moved, tmp_path)
    assert len(counted) == 2


def test_precision_does_not_matter(bodies, counted, tmp_path):
    source, target = bodies
    cached_maps(source, target, tmp_path)
    cached_maps(small_body("smplh", 200).float(), target, tmp_path)
    assert len(counted) == 1


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "text"])
def test_a_damaged_file_is_made_anew(bodies, counted, tmp_path, damage):
    source, target = bodies
    there, _ = cached_maps(source, target, tmp_path)
    (file,) = tmp_path.iterdir()
    content = bytearray(file.read_bytes())
    content[-100] ^= 1
    new = {"cut": content[:-50], "empty": b"", "flipped": content, "text": b"no such thing" * 9}[damage]
    file.write_bytes(bytes(new))
    assert _same(cached_maps(source, target, tmp_path)[0], there)
    assert len(counted) == 2
    cached_maps(source, target, tmp_path)
    assert len(counted) == 2


def test_a_folder_that_cannot_be_written_is_no_error(bodies, counted, tmp_path):
    (tmp_path / "file").write_text("in the way")
    for _ in range(2):
        cached_maps(*bodies, tmp_path / "file" / "below")
    assert len(counted) == 1  # a process keeps it


def test_what_cannot_be_written_is_kept_for_few_pairs(counted, tmp_path, monkeypatch):
    monkeypatch.setattr(map_cache, "_unwritten", {})
    monkeypatch.setattr(map_cache, "_MOST_UNWRITTEN", 2)
    (tmp_path / "file").write_text("in the way")
    target = small_body("smplx", 300)
    for size in (200, 210, 220, 200):
        cached_maps(small_body("smplh", size), target, tmp_path / "file" / "below")
    assert len(counted) == 4 and len(map_cache._unwritten) == 2


def test_no_cache_writes_nothing(bodies, counted, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    cached_maps(*bodies, False)
    assert not list(tmp_path.iterdir())
    cached_maps(*bodies, True)
    assert list(default_folder().glob("*.safetensors"))
    assert default_folder() == tmp_path / "vitruve" / "correspondence"


def test_nothing_half_written_is_left(bodies, counted, tmp_path):
    cached_maps(*bodies, tmp_path)
    assert [file.suffix for file in Path(tmp_path).iterdir()] == [".safetensors"]
