"""Guess a mapping from the joint names of a skeleton, its tree, and its rest pose or motion.

The names give the limbs; the tree gives the pelvis (where legs and back meet) and the spine (from there to the neck).
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from vitruve.errors import UsageError
from vitruve.motion import Motion
from vitruve.retarget.mapping import JointMap, Mapping, prefixes
from vitruve.retarget.mapping_frames import frames_of
from vitruve.skeletons import Skeleton

SIDES = ("left", "right")
_SIDE_WORDS = {"l": "left", "left": "left", "r": "right", "right": "right"}
# Names of a limb's joints, without the side; the words of a row are tried in order.
_WORDS = {
    "hip": ("upleg", "upperleg", "thigh", "femur", "hip"),
    "knee": ("lowleg", "lowerleg", "shin", "calf", "tibia", "shank", "knee", "leg"),
    "ankle": ("foot", "ankle"),
    "foot": ("toebase", "toe", "toes", "ball"),
    "collar": ("collar", "clavicle"),
    "shoulder": ("upperarm", "uparm", "shldr", "humerus", "arm"),
    "elbow": ("forearm", "lowarm", "lowerarm", "radius", "elbow"),
    "wrist": ("hand", "wrist"),
}
_NECK, _HEAD = ("neck", "necktwist", "lowerneck", "upperneck"), ("head",)
_FINGERS = {"thumb": "thumb", "index": "index", "mid": "middle", "middle": "middle", "ring": "ring", "pinky": "pinky",
            "little": "pinky"}  # fmt: skip
# Joints without which no guess is possible.
_NEEDED = ("hip", "knee", "ankle", "shoulder", "elbow", "wrist")


def guess_mapping(motion: Motion) -> Mapping:
    """Guess the mapping for a motion's skeleton; raises UsageError if the names are too unclear."""
    rows, missing = guess_rows(motion.skeleton)
    if missing:
        raise UsageError(
            f"the names of the skeleton '{motion.skeleton.name}' are too unclear to guess a mapping",
            where=f"not found: {', '.join(missing)}",
            fix="write a mapping file (docs/retarget.md)",
        )
    frames, note = frames_of(rows, motion)
    return Mapping("guess", rows, frames, "legs", f"guessed from its names and {note}")


def guess_rows(skeleton: Skeleton) -> tuple[tuple[JointMap, ...], list[str]]:
    """The rows found by names and tree, and the required joints that were not found."""
    found = _by_name(skeleton)
    missing = [f"{side}_{part}" for part in _NEEDED for side in SIDES if f"{side}_{part}" not in found]
    if missing or not skeleton.parents:
        return (), missing or ["a tree"]
    neck = [i for i, name in enumerate(skeleton.names) if _word(name, skeleton.names)[1] in _NECK]
    chest = skeleton.parents[neck[0]] if neck else _ancestor(skeleton, found["left_shoulder"], found["right_shoulder"])
    pelvis = _ancestor(skeleton, _ancestor(skeleton, found["left_hip"], found["right_hip"]), chest)
    spine = [joint for joint in _above(skeleton, chest) if pelvis in _above(skeleton, joint)[1:]][::-1]
    return _rows(skeleton.names, found, pelvis, spine, neck), []


def describe_rows(rows: Sequence[JointMap]) -> str:
    """Rows in one line, with only the number of finger joints."""
    fingers = [row for row in rows if row.joint[-1].isdigit() and not row.joint.startswith("spine")]
    parts = [f"{row.joint} = {' + '.join(row.sources)}" for row in rows if row not in fingers]
    return ", ".join(parts) + (f", and {len(fingers)} finger joints" if fingers else "")


def _rows(
    names: Sequence[str], found: dict[str, int], pelvis: int, spine: list[int], neck: list[int]
) -> tuple[JointMap, ...]:
    def row(joint: str, *sources: int, turn_only: bool = False, **more: str | float) -> JointMap:
        named = tuple(names[source] for source in sources)
        return JointMap(joint, () if turn_only else named[-1:], named, **more)  # type: ignore[arg-type]

    # One to three spine joints as in the shipped mappings; with more, the ones in between share spine2.
    chain = {
        0: ((pelvis,), (pelvis,), (pelvis,)),
        1: ((pelvis, *spine), spine, spine),
        2: ((pelvis, *spine[:1]), spine[:1], spine[1:]),
    }.get(len(spine), (spine[:1], spine[1:-1], spine[-1:]))
    rows = [row("pelvis", pelvis, weight=0.0)]
    rows += [row(f"spine{i}", *joints, turn_only=True) for i, joints in enumerate(chain, start=1)]
    rows += [row("neck", *neck, weight=0.0)] if neck else []
    rows += [row("head", found["head"], weight=0.0)] if "head" in found else []
    for side in SIDES:
        at = {part: found[f"{side}_{part}"] for part in _WORDS if f"{side}_{part}" in found}
        rows += [
            row(f"{side}_hip", at["hip"], bone=f"{side}_knee", weight=0.5),
            row(f"{side}_knee", at["knee"], bone=f"{side}_ankle"),
            row(f"{side}_ankle", at["ankle"], weight=3.0, hold=0.03),
        ]
        rows += [row(f"{side}_foot", at["foot"])] if "foot" in at else []
        rows += [row(f"{side}_collar", at["collar"], turn_only=True, hold=0.03)] if "collar" in at else []
        rows += [
            row(f"{side}_shoulder", at["shoulder"], bone=f"{side}_elbow", weight=0.5),
            row(f"{side}_elbow", at["elbow"], bone=f"{side}_wrist"),
            row(f"{side}_wrist", at["wrist"], like=f"{side}_elbow"),
        ]
        fingers = [joint for joint in found if joint.startswith(f"{side}_") and joint[-1].isdigit()]
        rows += [row(joint, found[joint], turn_only=True, like=f"{side}_elbow") for joint in sorted(fingers)]
    return tuple(rows)


def _by_name(skeleton: Skeleton) -> dict[str, int]:
    """The joints of limbs, head and fingers by name; of several, the first in the tree."""
    words = [_word(name, skeleton.names) for name in skeleton.names]
    found: dict[str, int] = {}

    def take(joint: str, wanted: Sequence[str], side: str) -> None:
        for word in wanted:
            if joint not in found and (side, word) in words:
                found[joint] = words.index((side, word))

    for side in SIDES:
        for part, wanted in _WORDS.items():
            take(f"{side}_{part}", wanted, side)
        # "Shoulder" is the collar bone if the upper arm has its own name, and else the shoulder.
        take(f"{side}_{'collar' if f'{side}_shoulder' in found else 'shoulder'}", ("shoulder",), side)
        for i, (side_of_word, word) in enumerate(words):
            finger = re.fullmatch(rf"(?:hand)?({'|'.join(_FINGERS)})(?:finger)?", word)
            number = re.search(r"(\d)\D*$", skeleton.names[i])
            if side_of_word == side and finger and number and number[1] in "123":
                found.setdefault(f"{side}_{_FINGERS[finger[1]]}{number[1]}", i)
    take("head", _HEAD, "")
    return found


def _word(name: str, names: Sequence[str]) -> tuple[str, str]:
    """The side of a name ("left", "right" or ""), and the rest of it in lower case without digits."""
    for prefix in prefixes(names):
        name = name.removeprefix(prefix)
    parts = [part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)]
    side = next((_SIDE_WORDS[part] for part in parts if part in _SIDE_WORDS), "")
    word = "".join(part for part in parts if part not in _SIDE_WORDS)
    known = {*(word for row in _WORDS.values() for word in row), *_FINGERS, "shoulder"}
    for spelling, hidden_side in sorted(_SIDE_WORDS.items(), reverse=True):
        # Names in one case, such as "lfemur" and "LEFTFOOT".
        if not side and word.removeprefix(spelling) in known and word not in known:
            return hidden_side, word.removeprefix(spelling)
    return side, word


def _above(skeleton: Skeleton, joint: int) -> list[int]:
    """A joint and its ancestors, up to the root."""
    chain = [joint]
    while skeleton.parents[chain[-1]] >= 0:
        chain.append(skeleton.parents[chain[-1]])
    return chain


def _ancestor(skeleton: Skeleton, a: int, b: int) -> int:
    """The nearest common ancestor of two joints."""
    return next(joint for joint in _above(skeleton, a) if joint in _above(skeleton, b))
