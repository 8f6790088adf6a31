"""Model files in the official layouts, with random content: written by code, so that no licensed file is needed."""

from __future__ import annotations

import io
import pickle
import struct
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np
import scipy.sparse

from vitruve.bodies.files import LAYOUTS, SKELETONS
from vitruve.skeletons import load_skeleton

# What the smplx package needs at least, as it picks surface points by fixed vertex numbers.
VERTICES = {"smpl": 6890, "smplh": 6890, "smplx": 10475, "mano": 778}


def random_values(
    layout: str,
    vertices: int = 60,
    betas: int = 10,
    expressions: int = 0,
    hands: bool = True,
    face: bool = True,
    seed: int = 0,
) -> dict[str, Any]:
    """The keys of an official file. `expressions` columns stand behind the betas; the tree is the true one.

    All numbers are exact in float32, as the smplx package rounds them to it; the weights are multiples of 2^-16 whose
    rows sum to exactly one.
    """
    rng = np.random.default_rng(seed)
    joints, faces = LAYOUTS[layout], 2 * vertices
    parents = load_skeleton(SKELETONS[layout]).parents
    weights = rng.random((vertices, joints)) ** 8
    weights = np.floor(weights / weights.sum(1, keepdims=True) * 2**16)
    weights[np.arange(vertices), weights.argmax(1)] += 2**16 - weights.sum(1)
    regressor = scipy.sparse.random(joints, vertices, 0.2, "csc", None, rng)
    regressor = scipy.sparse.csc_matrix(regressor + scipy.sparse.csc_matrix(np.eye(joints, vertices)))
    steps = rng.integers(1, vertices // 3, (faces, 2)).cumsum(1)
    corners = (np.arange(faces)[:, None] + np.c_[np.zeros(faces, int), steps]) % vertices
    size = 0.1 if layout == "mano" else 1.0
    values = {
        "v_template": rng.uniform(-size, size, (vertices, 3)),
        "f": corners.astype(np.uint32),
        "shapedirs": 0.02 * rng.standard_normal((vertices, 3, betas + expressions)),
        "posedirs": 0.005 * rng.standard_normal((vertices, 3, 9 * (joints - 1)), dtype=np.float32),
        "J_regressor": scipy.sparse.csc_matrix(regressor.multiply(1 / regressor.sum(1))),
        "weights": weights / 2**16,
        "kintree_table": np.array([[4294967295, *parents[1:]], range(joints)], dtype=np.uint32),
        "J": np.zeros((joints, 3)),
        "bs_style": "lbs",
        "bs_type": "lrotmin",
    }
    suffixes = {"mano": ("",), "smpl": ()}.get(layout, ("l", "r")) if hands else ()
    for suffix in suffixes:
        values[f"hands_mean{suffix}"] = 0.2 * rng.standard_normal(45)
        values[f"hands_components{suffix}"] = np.linalg.qr(rng.standard_normal((45, 45)))[0]
        values[f"hands_coeffs{suffix}"] = rng.standard_normal((20, 45))
    if layout == "smplx" and face:
        values |= {
            "lmk_faces_idx": rng.integers(0, faces, 51),
            "lmk_bary_coords": rng.dirichlet((1, 1, 1), 51),
            "dynamic_lmk_faces_idx": rng.integers(0, faces, (79, 17)),
            "dynamic_lmk_bary_coords": rng.dirichlet((1, 1, 1), (79, 17)),
            "joint2num": np.array({"pelvis": 0}, dtype=object),
            "vt": rng.random((80, 2)),
            "ft": rng.integers(0, 80, (faces, 3)).astype(np.uint32),
        }
    return {key: _exact(value) for key, value in values.items()}


def _exact(value: Any) -> Any:
    is_float = isinstance(value, np.ndarray | scipy.sparse.csc_matrix) and value.dtype == np.float64
    return value.astype(np.float32).astype(np.float64) if is_float else value


def write_pkl(path: Path, values: dict[str, Any], protocol: int = 2) -> Path:
    """A pickle as Python 3 makes it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(pickle.dumps(values, protocol))
    return path


def write_npz(path: Path, values: dict[str, Any]) -> Path:
    """An npz file with dense regressor and pickled objects, as the official ones have them."""
    path.parent.mkdir(parents=True, exist_ok=True)
    dense = {key: value.toarray() if scipy.sparse.issparse(value) else value for key, value in values.items()}
    np.savez(path, **dense)  # type: ignore[arg-type]
    return path


def write_python2_pkl(path: Path, values: dict[str, Any], chumpy: tuple[str, ...] = (), protocol: int = 2) -> Path:
    """A pickle as Python 2 made it: byte strings, old module names, and some arrays as chumpy objects.

    The first of the `chumpy` keys becomes a Select of a wider array, as MANO's shapedirs is; the others a plain Ch.
    """
    stream = io.BytesIO()
    with _modules_of_then() as (ch, select, csc):
        values = dict(values)
        for i, key in enumerate(chumpy):
            array = np.asarray(values[key])
            if i == 0:
                wide = np.concatenate([array, array + 1], -1)
                picked = np.arange(wide.size).reshape(wide.shape)[..., : array.shape[-1]].ravel()
                values[key] = _with(select(), a=_with(ch(), x=wide), idxs=picked, preferred_shape=array.shape)
            else:
                values[key] = _with(ch(), x=array, _dirty_vars=set(), _cache={"drs": {}})
        sparse = values.get("J_regressor")
        if scipy.sparse.issparse(sparse):
            state = {"_shape": sparse.shape, "maxprint": 50, "format": "csc"}
            state |= {key: getattr(sparse, key) for key in ("data", "indices", "indptr")}
            values["J_regressor"] = _with(csc(), **state)
        _Python2Pickler(stream, protocol).dump(values)
    path.parent.mkdir(parents=True, exist_ok=True)
    content = stream.getvalue().replace(b"copyreg\n", b"copy_reg\n").replace(b"cbuiltins\n", b"c__builtin__\n")
    path.write_bytes(content)
    return path


def _with(instance: Any, **attributes: Any) -> Any:
    instance.__dict__.update(attributes)
    return instance


class _modules_of_then:
    """Modules chumpy.ch, chumpy.reordering and scipy.sparse.csc with one class each, while a pickle is written."""

    _NAMES = (("chumpy.ch", "Ch"), ("chumpy.reordering", "Select"), ("scipy.sparse.csc", "csc_matrix"))

    def __enter__(self) -> list[type]:
        self.before = {name: sys.modules.get(name) for name in ("chumpy", *dict(self._NAMES))}
        sys.modules["chumpy"] = types.ModuleType("chumpy")
        classes = []
        for module, name in self._NAMES:
            classes.append(type(name, (), {"__module__": module}))
            sys.modules[module] = types.ModuleType(module)
            setattr(sys.modules[module], name, classes[-1])
        return classes

    def __exit__(self, *error: object) -> None:
        for name, module in self.before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


class _Python2Pickler(pickle._Pickler):  # type: ignore[name-defined]
    """Writes bytes and ASCII text as Python 2 wrote its str."""

    def save_bytes(self: Any, data: bytes) -> None:
        self.write(pickle.BINSTRING + struct.pack("<i", len(data)) + data)

    def save_text(self: Any, text: str) -> None:
        self.save_bytes(text.encode("ascii"))

    dispatch = {**pickle._Pickler.dispatch, bytes: save_bytes, str: save_text}  # type: ignore[attr-defined] # noqa: RUF012
