"""The cache of computed maps on disk, so that two bodies are registered once."""

from __future__ import annotations

import hashlib
import json
import os
import warnings
from pathlib import Path

import numpy as np

from vitruve.bodies import BodyModel, BodyNotice
from vitruve.bodies.values import whole_file
from vitruve.correspondence.computed_map import METHOD_VERSION, VertexMap, compute_maps
from vitruve.correspondence.registration import MOST_BETAS
from vitruve.errors import VitruveError

# If the cache folder is not writable, maps are cached in memory: a run needs them several times, and computing them
# takes most of a minute. A pair takes a megabyte.
_unwritten: dict[Path, tuple[VertexMap, VertexMap]] = {}
_MOST_UNWRITTEN = 16


def cached_maps(source: BodyModel, target: BodyModel, cache: bool | Path) -> tuple[VertexMap, VertexMap]:
    """`compute_maps` with a cache in the user's cache folder (True), in a folder, or none (False)."""
    if cache is False:
        return compute_maps(source, target)
    folder = default_folder() if cache is True else Path(cache)
    contents = _content(source), _content(target)
    if contents[0] > contents[1]:
        # Both directions are in one file.
        back, there = cached_maps(target, source, folder)
        return there, back
    file = folder / f"{contents[0]}-{contents[1]}-{METHOD_VERSION}.safetensors"
    maps = _read(file, source, target) or _unwritten.get(file)
    if maps is None:
        both = " and ".join(sorted((source.name, target.name)))
        warnings.warn(f"computing the surface map of {both}, once; this takes some seconds", BodyNotice, stacklevel=2)
        maps = compute_maps(source, target)
        if not _write(file, maps):
            while len(_unwritten) >= _MOST_UNWRITTEN:
                del _unwritten[next(iter(_unwritten))]
            _unwritten[file] = maps
    return maps


def default_folder() -> Path:
    """The cache folder below XDG_CACHE_HOME or ~/.cache."""
    home = os.environ.get("XDG_CACHE_HOME") or "~/.cache"
    return Path(home).expanduser() / "vitruve" / "correspondence"


def _content(body: BodyModel) -> str:
    """A hash of everything in a body that affects the maps; the same for float32 and float64."""
    words = [*body.skeleton.names, body.gender if body.layout == "mano" else "", *map(str, body.skeleton.parents)]
    digest = hashlib.sha256("\n".join(words).encode())
    arrays = (body.template, body.joint_regressor, body.skin_weights, body.shape_basis[..., :MOST_BETAS])
    for array in (*(value.float() for value in arrays), body.faces):
        digest.update(str(tuple(array.shape)).encode())
        digest.update(np.ascontiguousarray(array.detach().cpu().numpy()).tobytes())
    return digest.hexdigest()[:20]


def _write(file: Path, maps: tuple[VertexMap, VertexMap]) -> bool:
    """Write a cache file; False if that failed."""
    from safetensors.numpy import save

    arrays = {}
    for way, vertex_map in zip(("there", "back"), maps):
        arrays[f"{way}_vertices"] = vertex_map.vertices.astype(np.int32)
        arrays[f"{way}_weights"] = vertex_map.weights
        arrays |= {f"{way}_region_{name}": mask for name, mask in vertex_map.regions.items()}
    content = save(arrays, metadata={"sha256": _checksum(arrays)})
    try:
        with whole_file(file, overwrite=True) as stream:
            stream.write(content)
    except (VitruveError, OSError):  # only costs time at the next run
        return False
    return True


def _read(file: Path, source: BodyModel, target: BodyModel) -> tuple[VertexMap, VertexMap] | None:
    """The maps in a file; None if it is missing, truncated or has a wrong checksum."""
    from safetensors import SafetensorError, safe_open

    try:
        with safe_open(file, framework="np") as stored:
            arrays = {key: stored.get_tensor(key) for key in stored.keys()}  # noqa: SIM118 (no mapping)
            if (stored.metadata() or {}).get("sha256") != _checksum(arrays):
                return None
    except (OSError, SafetensorError):
        return None
    maps = []
    for way, points in (("there", target), ("back", source)):
        prefix = f"{way}_region_"
        regions = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        vertices, weights = arrays.get(f"{way}_vertices"), arrays.get(f"{way}_weights")
        if vertices is None or weights is None or len(vertices) != points.num_vertices:
            return None
        maps.append(VertexMap(vertices.astype(np.int64), weights, regions))
    return maps[0], maps[1]


def _checksum(arrays: dict[str, np.ndarray]) -> str:
    digest = hashlib.sha256(json.dumps(sorted(arrays)).encode())
    for key in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[key]).tobytes())
    return digest.hexdigest()
