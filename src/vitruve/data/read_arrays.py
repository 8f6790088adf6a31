"""Read one motion file into the arrays of a store: a fast path for AMASS files, `load_motion` for all others.

The fast path decompresses only the members it needs, each in one call, and converts to float32 in one pass. Both give
the same result.
"""

from __future__ import annotations

import io
import os
import threading
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import numpy as np
from numba import njit

from vitruve.data.clips import FIELDS
from vitruve.errors import BadData, VitruveError
from vitruve.files.npy_header import LONGEST_HEADER, read_npy_header
from vitruve.files.npz import LOCAL_HEADER, Member, begin_of, npz_members, unpacked
from vitruve.files.smpl_layouts import BY_COLUMNS
from vitruve.formats import load_motion_at
from vitruve.formats.axis_angle import LONGEST_TURN
from vitruve.formats.fields import BODY_KEY, one_shape, read_body_and_gender
from vitruve.geometry.rotations import matrix_to_axis_angle
from vitruve.motion import Motion
from vitruve.motion.motion import FARTHEST, FASTEST, SLOWEST

_RATES = ("mocap_frame_rate", "mocap_framerate")
_NEEDED = ("poses", "trans", "betas", "gender")
# Keys that may occur in AMASS files. A file with any other key is not from AMASS, and is read by `load_motion`.
_KNOWN = frozenset(
    (*_NEEDED, *_RATES, BODY_KEY, "dmpls", "marker_data", "marker_labels", "labels", "surface_model_type",
     "mocap_time_length", "markers_latent", "latent_labels", "markers_latent_vids", "num_betas", "root_orient",
     "pose_body", "pose_hand", "pose_jaw", "pose_eye", "markers", "markers_obs", "labels_obs", "markers_sim",
     "marker_meta", "num_markers")
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class Arrays:
    """What the store keeps of one file.

    Attributes:
        fields: [frames, values] float32, by the names of `clips.widths`.
        valid: [frames] True where all values are finite; invalid frames are zero.
        skeleton, fps, body, gender, betas, notes: as of a clip.
    """

    fields: Mapping[str, np.ndarray]
    valid: np.ndarray
    skeleton: str
    fps: float
    body: str
    gender: str
    betas: tuple[float, ...]
    notes: tuple[str, ...] = ()

    def __len__(self) -> int:
        return len(self.valid)


def read_arrays(path: Path, source_fps: float | None = None, gender: str | None = None) -> Arrays:
    """Read a motion that is on a body; `source_fps` and `gender` are for files that do not state them.

    Raises:
        VitruveError: from the reader of the file's format.
    """
    if path.suffix.lower() == ".npz" and (arrays := _read_quickly(path, gender)) is not None:
        return arrays
    return arrays_of_motion(load_motion_at(path, source_fps, gender))


def arrays_of_motion(motion: Motion) -> Arrays:
    """The arrays of a motion; BadData where the store does not support its skeleton."""
    name = motion.skeleton.name
    if name not in FIELDS:
        raise BadData(
            f"the store keeps no motions on the skeleton '{name}'",
            where=motion.source.file,
            fix=f"convert it first; supported are {', '.join(FIELDS)}",
        )
    vectors = matrix_to_axis_angle(motion.rotations.double()).flatten(1).numpy()
    out, valid = _fields(vectors, name)
    out["translation"] = _float32(motion.translation.numpy(), valid)
    if motion.expression is not None and motion.expression.shape[1]:
        out["expression"] = _float32(motion.expression.numpy(), valid)
    if motion.mask is not None:
        valid &= motion.mask.numpy()
    _blank(out, valid)
    return Arrays(
        fields=out,
        valid=valid,
        skeleton=name,
        fps=float(motion.fps),
        body=motion.body,
        gender=motion.gender,
        betas=tuple(motion.betas.double().tolist()),
        notes=motion.source.notes,
    )


def _read_quickly(path: Path, gender: str | None) -> Arrays | None:
    """None where the file is not exactly as AMASS's are: `load_motion` then reads it, or says what is wrong."""
    try:
        with path.open("rb") as file:
            members = npz_members(file)
            if not set(_NEEDED) <= members.keys() <= _KNOWN:
                return None
            view = _BUFFER.of(file)
        rates = [key for key in _RATES if key in members]
        needed = (*_NEEDED, *rates, BODY_KEY) if BODY_KEY in members else (*_NEEDED, *rates)
        return _arrays({key: _member(view, members[key]) for key in needed}, rates, path, gender)
    except (_Unusual, VitruveError, OSError, ValueError, TypeError, zipfile.BadZipFile, EOFError):
        return None


class _Unusual(Exception):
    """The file is not as AMASS's are."""


class _Buffer(threading.local):
    """Memory that every file is read into: allocating it for each file would take as long as reading."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def of(self, file: BinaryIO) -> memoryview:
        """The content of a file, valid until the next call."""
        size = os.fstat(file.fileno()).st_size
        if size > len(self._bytes):
            self._bytes = bytearray(size + size // 4)
        view = memoryview(self._bytes)[:size]
        file.seek(0)
        if file.readinto(view) != size:  # type: ignore[attr-defined]
            raise _Unusual
        return view


_BUFFER = _Buffer()


def _member(view: memoryview, member: Member) -> np.ndarray:
    """The array of a member: a view of the file's bytes if they are stored plainly."""
    begin = begin_of(view[member.offset : member.offset + LOCAL_HEADER], member)
    data = unpacked(view[begin : begin + member.packed], member)
    stream = io.BytesIO(data[:LONGEST_HEADER])
    shape, fortran, dtype = read_npy_header(stream)
    if fortran or dtype.kind not in "fiuUS":
        raise _Unusual
    return np.frombuffer(data, dtype, offset=stream.tell()).reshape(shape)


def _arrays(
    arrays: Mapping[str, np.ndarray], rates: list[str], path: Path, default_gender: str | None
) -> Arrays | None:
    poses, trans = arrays["poses"], arrays["trans"]
    frames = len(poses) if poses.ndim == 2 else 0
    floats = poses.dtype in (np.float32, np.float64) and trans.dtype in (np.float32, np.float64)
    if not frames or poses.shape[1] not in BY_COLUMNS or trans.shape != (frames, 3) or not floats:
        return None
    found = {float(arrays[key]) for key in rates if arrays[key].size == 1}
    if len(found) != 1 or not SLOWEST <= min(found) <= FASTEST:
        return None
    notes: list[str] = []
    if np.abs(poses[:, 3:66]).max(initial=0.0) > LONGEST_TURN:
        return None
    # Copied, since the arrays are views of memory that the next file is read into.
    betas = one_shape(arrays["betas"].copy(), frames, path, notes)
    layout = BY_COLUMNS[poses.shape[1]]
    body, gender = read_body_and_gender(arrays, layout.body, path, notes, default_gender)
    out, valid = _fields(poses, layout.skeleton)
    out["translation"] = _float32(trans, valid)
    _blank(out, valid)
    if any(np.abs(values).max(initial=0.0) > FARTHEST for values in (out["translation"], betas.numpy())):
        return None
    masked = frames - int(valid.sum())
    if masked:
        notes.append(f"{masked} of {frames} frames hold values that are not numbers; they are masked")
    shape = tuple(betas.double().tolist())
    return Arrays(out, valid, layout.skeleton, min(found), body, gender, shape, tuple(notes))


def _fields(vectors: np.ndarray, skeleton: str) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The fields of a skeleton, float32 and no longer than pi, and which frames are finite."""
    valid = np.ones(len(vectors), dtype=np.bool_)
    out = {}
    for name, (start, stop) in FIELDS[skeleton].items():
        out[name] = np.empty((len(vectors), stop - start), dtype=np.float32)
        _shortened(vectors, start, out[name], valid)
    return out, valid


def _float32(values: np.ndarray, valid: np.ndarray) -> np.ndarray:
    """A copy as float32; clears `valid` where a value is not finite."""
    out = values.astype(np.float32)
    valid &= np.isfinite(out).all(1)
    return out


def _blank(fields: Mapping[str, np.ndarray], valid: np.ndarray) -> None:
    if not valid.all():
        for array in fields.values():
            array[~valid] = 0.0


@njit(cache=True, nogil=True)
def _shortened(vectors, start, out, valid) -> None:
    """Write the axis-angle vectors [frames, values from `start`] as equal rotations of at most pi, in float32."""
    square_of_pi = 9.869604  # slightly less, so that float32 rounding does not exceed pi
    for frame in range(len(out)):
        for column in range(0, out.shape[1], 3):
            x = np.float64(vectors[frame, start + column])
            y = np.float64(vectors[frame, start + column + 1])
            z = np.float64(vectors[frame, start + column + 2])
            square = x * x + y * y + z * z
            if not square <= square_of_pi:
                if square < np.inf:
                    angle = np.sqrt(square)
                    scale = (angle - 2 * np.pi * np.floor(angle / (2 * np.pi) + 0.5)) / angle
                    x, y, z = x * scale, y * scale, z * scale
                else:  # also NaN
                    valid[frame] = False
            out[frame, column] = x
            out[frame, column + 1] = y
            out[frame, column + 2] = z


def prepare_kernels() -> None:
    """Compile, or load, the code for every array type before the first file is read.

    Decompressed arrays are read-only and others are not; numba compiles for each.
    """
    for dtype in (np.float32, np.float64):
        for writable in (True, False):
            vectors = np.zeros((1, 3), dtype)
            vectors.flags.writeable = writable
            _shortened(vectors, 0, np.zeros((1, 3), np.float32), np.ones(1, np.bool_))
