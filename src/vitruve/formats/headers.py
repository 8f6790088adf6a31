"""Read only the header of a motion file: fast enough for thousands of files."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Callable
from dataclasses import dataclass

from vitruve.bodies.pickles import read_npz
from vitruve.errors import BadData
from vitruve.files.smpl_layouts import LAYOUTS
from vitruve.formats import load_motion, recognise
from vitruve.formats.fields import MissingFrameRate, read_body_and_gender
from vitruve.formats.glimpse import ROTATION_KEYS, Glimpse, glimpse, npz_body
from vitruve.formats.readers.amass import TRANSLATION_KEYS, frame_rate
from vitruve.formats.readers.cmu_rates import USUAL_RATE, cmu_rate

# Bytes at the start of a BVH file that hold joints and rate, and at the end of an AMC file that hold a frame.
_HEAD, _TAIL = 1 << 20, 1 << 16
_BVH_TIMES = re.compile(rb"(?im)^\s*Frames\s*:?\s*(\d+)\s+Frame\s*Time\s*:?\s*([\d.eE+-]+)")
_AMC_FRAME = re.compile(rb"(?m)^[ \t]*(\d+)[ \t]*\r?$")


@dataclass(frozen=True)
class Header:
    """The header of a motion file.

    Attributes:
        format: a name in the table of formats.
        frames, fps: number of frames and frame rate; None if the rate is missing.
        body: such as "smplh" or "open-smplx"; empty for other joint trees and for meshes.
        gender: "neutral", "female", "male"; empty if missing, and for a tree.
        lacks: missing fields: "frame rate", "gender", "translation".
        skeleton: name of the joint set; empty for a tree whose joints were not read.
    """

    format: str
    frames: int
    fps: float | None
    body: str = ""
    gender: str = ""
    lacks: tuple[str, ...] = ()
    skeleton: str = ""


def read_header(path: str | os.PathLike[str]) -> Header:
    """The header of a motion file, or of a folder that is one motion; damage after the header goes unnoticed."""
    look = glimpse(path)
    name = recognise(look)
    return _READERS.get(name, _in_full)(look, name)


def quick_header(look: Glimpse) -> Header | None:
    """The header of a file, or None if its format has to be read in full."""
    name = recognise(look)
    return _READERS[name](look, name) if name in _READERS else None


def _of_npz(look: Glimpse, name: str) -> Header:
    if not npz_body(look):
        return _in_full(look, name)  # its reader raises with the reason
    layout = LAYOUTS[npz_body(look)]
    key = next((key for key in (*ROTATION_KEYS, "root_orient") if look.shapes.get(key)), "")
    arrays, notes = read_npz(look.path), []
    lacks = [] if look.shapes.keys() & set(TRANSLATION_KEYS) else ["translation"]
    body, gender = read_body_and_gender(arrays, layout.body, look.path, notes)
    if notes:
        gender = ""
        lacks.append("gender")
    try:
        fps = frame_rate(arrays, None, look.path, [])
    except MissingFrameRate:
        fps = None
        lacks.append("frame rate")
    return Header(name, look.shapes[key][0], fps, body, gender, tuple(lacks), layout.skeleton)


def _of_vitruve(look: Glimpse, name: str) -> Header:
    with look.path.open("rb") as file:
        content = json.loads(file.read(int.from_bytes(file.read(8), "little")))
    try:
        values = json.loads(content["__metadata__"]["vitruve_motion"])
        fps, body = float(values["fps"]), str(values["body"])
        gender, skeleton = str(values["gender"]) if body else "", str(values["skeleton"]["name"])
        return Header(name, look.shapes["rotations"][0], fps, body, gender, skeleton=skeleton)
    except (KeyError, TypeError, ValueError):
        return _in_full(look, name)


def _of_bvh(look: Glimpse, name: str) -> Header:
    with look.path.open("rb") as file:
        match = _BVH_TIMES.search(file.read(_HEAD).replace(b"\r", b"\n"))
    seconds = float(match[2]) if match else 0.0
    if match is None or not seconds > 0:
        return _in_full(look, name)
    fps = 1 / seconds
    whole = round(fps)
    # 0.0333333 seconds are 30 frames a second.
    return Header(name, int(match[1]), float(whole) if whole and abs(fps - whole) < 1e-3 * whole else fps)


def _of_amc(look: Glimpse, name: str) -> Header:
    """Frames are numbered from 1: the last number is the number of frames."""
    with look.path.open("rb") as file:
        file.seek(max(0, look.path.stat().st_size - _TAIL))
        numbers = _AMC_FRAME.findall(file.read())
    if not numbers:
        return _in_full(look, name)
    return Header(name, int(numbers[-1]), cmu_rate(look.path.stem) or USUAL_RATE)


def _of_frames(look: Glimpse, name: str) -> Header:
    """A folder with one file per frame: the first gives the body, their number the frames."""
    files = sorted(file for file in look.path.iterdir() if file.suffix.lower() == ".pkl" and file.stem != "merged")
    if not files:
        return _in_full(look, name)
    first = load_motion(files[0], fps=1.0)
    notes = " ".join(first.source.notes)
    missing = [what for what, words in (("gender", "no gender"), ("translation", "NO TRANSLATION")) if words in notes]
    gender = "" if "gender" in missing else first.gender
    return Header(name, len(files), None, first.body, gender, ("frame rate", *missing), first.skeleton.name)


def _of_meshes(look: Glimpse, name: str) -> Header:
    return Header(name, look.endings.get(".obj", 0) or look.endings.get(".ply", 0), None)


def _in_full(look: Glimpse, name: str) -> Header:
    has_rate = True
    try:
        motion = load_motion(look.path)
    except MissingFrameRate:
        has_rate = False
        motion = load_motion(look.path, fps=1.0)
    except (ValueError, OSError) as error:
        raise BadData(f"{look.path.name} cannot be read", where=f"{look.path}: {error}", fix="copy it again") from None
    fps, lacks = (motion.fps, ()) if has_rate else (None, ("frame rate",))
    gender = motion.gender if motion.body else ""
    return Header(name, len(motion), fps, motion.body, gender, lacks, motion.skeleton.name)


_READERS: dict[str, Callable[[Glimpse, str], Header]] = {
    "vitruve": _of_vitruve,
    "amass-smplx": _of_npz,
    "amass-smplh": _of_npz,
    "smpl-npz": _of_npz,
    "transfer": _of_frames,
    "bvh": _of_bvh,
    "asf-amc": _of_amc,
    "mesh-sequence": _of_meshes,
}
