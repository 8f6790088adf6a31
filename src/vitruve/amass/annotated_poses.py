"""Extract annotated poses, such as those of PoseScript and PoseFix, from AMASS by data set, sequence and frame.

The poses are on SMPL+H with 52 joints. Frame numbers are those of the SMPL+H release.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vitruve.amass.pose_lists import PosePlace, read_ids, read_pairs, read_pose_list
from vitruve.amass.sequences import Sequences, read_frames
from vitruve.bodies.pickles import read_npz
from vitruve.errors import BadData, UsageError, VitruveError, nearest
from vitruve.files.atomic import replacing
from vitruve.formats.axis_angle import rotations_of_file
from vitruve.formats.fields import one_shape, read_gender, real_array
from vitruve.formats.readers.poses_by_id import ENDINGS, Poses
from vitruve.geometry.rotations import rotation_about
from vitruve.runs import Progress

NORMALISATIONS = {
    "none": "the root rotation as recorded, z up",
    "heading": "the rotation about the vertical is removed, the tilt kept, as PoseScript does; the second pose of a "
    "pair from one sequence is turned as the first",
}
_NUM_BETAS = 16


@dataclass(frozen=True)
class FailedPose:
    """A requested pose that could not be extracted, and why."""

    id: str
    error: VitruveError


@dataclass(frozen=True, eq=False)
class ExtractedPoses:
    """The result of `extract_poses`.

    Attributes:
        poses: in the order of the ids; with "heading", those of pairs follow as "<pair>_a" and "<pair>_b".
        places: the source of each pose.
        failed: poses that could not be extracted.
        sequences: number of files read.
        normalise: a key of NORMALISATIONS.
        notes: sequences found under another name, poses without a heading, invalid values.
    """

    poses: Poses
    places: tuple[PosePlace, ...]
    failed: tuple[FailedPose, ...]
    sequences: int
    normalise: str
    notes: tuple[str, ...]


@dataclass(frozen=True)
class _Row:
    """The values of one pose in its file."""

    values: np.ndarray
    betas: np.ndarray
    translation: np.ndarray
    gender: str


def extract_poses(
    poses: str | Path,
    amass: str | Path,
    *,
    ids: Sequence[str | Path] = (),
    pairs: str | Path | None = None,
    pair_ids: Sequence[str | Path] = (),
    normalise: str = "none",
    as_recorded: bool = False,
    workers: int = 4,
    progress: Progress | None = None,
) -> ExtractedPoses:
    """Extract annotated poses from AMASS.

    Args:
        poses: the file with the sequence and frame of each pose.
        amass: the folder with the sets of the SMPL+H release, under any of their names.
        ids: files of pose ids; all poses where neither ids nor pairs are given.
        pairs: the file of PoseFix pairs; both poses of each pair are extracted.
        pair_ids: files of pair ids; all pairs where none are given.
        normalise: a key of NORMALISATIONS.
        as_recorded: keep each sequence's gender and shape, and with "none" its translation; otherwise all poses are on
            the neutral body of mean shape, at the origin.
        workers: files read at the same time.
        progress: called with poses done and poses in all.

    Raises:
        UsageError, BadData, MissingAsset: a file or folder is invalid. Errors of single poses are in `failed`.
    """
    if normalise not in NORMALISATIONS:
        raise UsageError(f"there is no normalisation '{normalise}'", fix=nearest(normalise, NORMALISATIONS))
    if pair_ids and pairs is None:
        raise UsageError("pair ids need the file of pairs", fix="give the file pair_id_2_pose_ids.json: --pairs")
    places = read_pose_list(poses)
    chosen = list(dict.fromkeys(each for file in ids for each in read_ids(file)))
    couples = _chosen_pairs(pairs, pair_ids) if pairs is not None else {}
    if not ids and pairs is None:
        chosen = list(places)
    wanted = list(dict.fromkeys([*chosen, *(each for pair in couples.values() for each in pair)]))
    sequences = Sequences(amass)
    rows, errors, files = _read(wanted, places, sequences, as_recorded, workers, progress)
    if normalise == "none":
        chosen, couples = wanted, {}
    good = [name for name in chosen if name in rows]
    failed = [FailedPose(name, errors[name]) for name in chosen if name not in rows]
    turns = _heading_turns([rows[name] for name in good]) if normalise == "heading" else None
    keyed, sources = list(good), list(good)
    paired = _paired(couples, places, rows, errors, failed)
    if paired:
        first = _heading_turns([rows[a] for _, _, a in paired])
        turns = first if turns is None else torch.cat([turns, first])
        keyed += [key for key, _, _ in paired]
        sources += [source for _, source, _ in paired]
    if not keyed:
        raise failed[0].error if failed else UsageError("no poses are selected", where=str(poses), fix="give ids")
    result, notes = _joined(keyed, [rows[name] for name in sources], turns, as_recorded)
    return ExtractedPoses(
        poses=result,
        places=tuple(places[name] for name in sources),
        failed=tuple(failed),
        sequences=files,
        normalise=normalise,
        notes=(*sequences.notes.values(), *notes),
    )


def check_out(path: str | Path, overwrite: bool = False) -> Path:
    """Path of the table beside an output file; an error where one of the two may not be written."""
    path, table = Path(path), Path(path).with_suffix(".csv")
    if path.suffix.lower() not in ENDINGS:
        raise UsageError("unsupported file type for poses", str(path), fix=f"end the name in {', '.join(ENDINGS)}")
    for each in (path, table):
        if each.is_dir() or (each.exists() and not overwrite):
            raise UsageError(f"{each.name} exists already", str(each), fix="choose another --out, or --overwrite")
    return table


def write_places(found: ExtractedPoses, path: str | Path, *, overwrite: bool = False) -> Path:
    """Write a CSV table of the source of each pose, and of the poses that failed."""
    path = Path(path)
    with replacing(path, overwrite=overwrite) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file)
        table.writerow(("id", "sequence", "frame", "normalise", "state", "what"))
        for name, place, good in zip(found.poses.ids, found.places, found.poses.mask.tolist()):
            table.writerow((name, place.sequence, place.frame, found.normalise, "done" if good else "not numbers", ""))
        for each in found.failed:
            table.writerow((each.id, "", "", "", "failed", f"{each.error.what}; {each.error.where}; {each.error.fix}"))
    return path


def _chosen_pairs(pairs: str | Path, pair_ids: Sequence[str | Path]) -> dict[str, tuple[str, str]]:
    every = read_pairs(pairs)
    if not pair_ids:
        return every
    names = dict.fromkeys(each for file in pair_ids for each in read_ids(file))
    unknown = [name for name in names if name not in every]
    if unknown:
        where = f"{pairs}: no pair {', '.join(unknown[:5])}" + (f" and {len(unknown) - 5} more" * (len(unknown) > 5))
        raise BadData("selected pairs are not in the list", where=where, fix="give files of one release")
    return {name: every[name] for name in names}


def _paired(
    couples: Mapping[str, tuple[str, str]],
    places: Mapping[str, PosePlace],
    rows: Mapping[str, _Row],
    errors: Mapping[str, VitruveError],
    failed: list[FailedPose],
) -> list[tuple[str, str, str]]:
    """(key, pose, the pose whose heading is removed) for both poses of each pair; a pair with a bad pose fails."""
    paired = []
    for pair, (a, b) in couples.items():
        bad = next((name for name in (a, b) if name not in rows), None)
        if bad is not None:
            failed += [FailedPose(f"{pair}_{side}", errors[bad]) for side in "ab"]
            continue
        same = places[a].sequence == places[b].sequence
        paired += [(f"{pair}_a", a, a), (f"{pair}_b", b, a if same else b)]
    return paired


def _read(
    wanted: Iterable[str],
    places: Mapping[str, PosePlace],
    sequences: Sequences,
    as_recorded: bool,
    workers: int,
    progress: Progress | None,
) -> tuple[dict[str, _Row], dict[str, VitruveError], int]:
    """The values of each pose, the errors of the others, and the number of files; each file is opened once."""
    rows: dict[str, _Row] = {}
    errors: dict[str, VitruveError] = {}
    files: dict[Path, list[str]] = {}
    unique, found = list(wanted), dict[str, Path | VitruveError]()
    for name in unique:
        place = places.get(name)
        if place is None:
            errors[name] = BadData("the list has no such pose", where=f"pose {name}", fix="give files of one release")
            continue
        if place.collection != "AMASS":
            where = f"pose {name} is of {place.collection}"
            errors[name] = BadData("only poses of AMASS are supported", where=where, fix="choose others: --ids")
            continue
        if place.sequence not in found:
            found[place.sequence] = _found(sequences, place.sequence)
        file = found[place.sequence]
        if isinstance(file, VitruveError):
            errors[name] = file
        else:
            files.setdefault(file, []).append(name)
    with ThreadPoolExecutor(max(1, workers)) as pool:
        wanted_frames = ([(name, places[name].frame) for name in names] for names in files.values())
        for answer in pool.map(lambda file, frames: _of_file(file, frames, as_recorded), files, wanted_frames):
            for name, row in answer.items():
                if isinstance(row, VitruveError):
                    errors[name] = row
                else:
                    rows[name] = row
            if progress is not None:
                progress(len(rows) + len(errors), len(unique))
    return rows, errors, len(files)


def _found(sequences: Sequences, sequence: str) -> Path | VitruveError:
    try:
        return sequences.find(sequence)
    except VitruveError as error:
        return error
    except OSError as error:  # such as a name that is too long
        where = f"{sequence[:200]}: {error.strerror}"
        return BadData("the sequence cannot be looked up", where=where, fix="check the list, and the permissions")


def _of_file(file: Path, wanted: Sequence[tuple[str, int]], as_recorded: bool) -> dict[str, _Row | VitruveError]:
    """The poses of one sequence. Called in threads, since reading releases the GIL."""
    try:
        values, count = read_frames(file, [frame for _, frame in wanted])
        betas, translations, gender = _person(file, count, as_recorded)
    except VitruveError as error:
        return {name: error for name, _ in wanted}
    answer: dict[str, _Row | VitruveError] = {}
    for row, (name, frame) in enumerate(wanted):
        if not 0 <= frame < count:
            where = f"{file}: pose {name} is frame {frame}, the sequence has {count}"
            answer[name] = BadData("the frame is beyond the end", where=where, fix="is it the SMPL+H release, uncut?")
        else:
            translation = translations[frame] if len(translations) else np.zeros(3)
            answer[name] = _Row(values[row], betas, translation, gender)
    return answer


def _person(file: Path, frames: int, as_recorded: bool) -> tuple[np.ndarray, np.ndarray, str]:
    if not as_recorded:
        return np.zeros(_NUM_BETAS), np.zeros((0, 3)), "neutral"
    arrays, notes = read_npz(file), list[str]()
    trans = real_array(arrays["trans"], "trans", file) if "trans" in arrays else np.zeros((frames, 3))
    if trans.shape != (frames, 3):
        where = f"{file}: trans has shape {trans.shape}, expected {(frames, 3)}"
        raise BadData("translation and poses do not belong together", where=where, fix="fetch the file again")
    betas = one_shape(arrays.get("betas"), frames, file, notes).numpy()
    return betas, trans, read_gender(arrays.get("gender"), file, notes)


def _heading_turns(rows: Sequence[_Row]) -> Tensor:
    """[poses, 3, 3]: the rotation about z that removes each pose's heading."""
    roots = torch.from_numpy(np.stack([row.values[:3] for row in rows]) if rows else np.zeros((0, 3)))
    matrices, _ = rotations_of_file(roots[:, None])
    return rotation_about("Z", -torch.atan2(matrices[:, 0, 1, 0], matrices[:, 0, 0, 0]))


def _joined(
    names: Sequence[str], rows: Sequence[_Row], turns: Tensor | None, as_recorded: bool
) -> tuple[Poses, list[str]]:
    vectors = torch.from_numpy(np.stack([row.values for row in rows]))
    rotations, good = rotations_of_file(vectors.unflatten(1, (-1, 3)))
    width = max(len(row.betas) for row in rows)
    betas = torch.zeros(len(rows), width, dtype=vectors.dtype)
    for place, row in enumerate(rows):
        betas[place, : len(row.betas)] = torch.from_numpy(row.betas)
    translation = torch.zeros(len(rows), 3, dtype=vectors.dtype)
    notes = []
    if turns is None and as_recorded:
        translation = torch.from_numpy(np.stack([row.translation for row in rows])).to(vectors)
        good &= translation.isfinite().all(1)
        translation = torch.nan_to_num(translation)
    if turns is not None:
        rotations[:, 0] = turns @ rotations[:, 0]
        # A root with a vertical x axis has no heading; the angle that was removed is arbitrary.
        lost = int((rotations[:, 0, :2, 0].norm(dim=1) < 1e-6).sum())
        if lost:
            notes.append(f"{lost} poses have no heading: their x axis is vertical")
    if not good.all():
        notes.append(f"{int((~good).sum())} poses hold values that are not numbers; they are NaN in the file")
    poses = Poses(
        ids=tuple(names),
        rotations=rotations,
        translation=translation,
        betas=betas,
        genders=tuple(row.gender for row in rows),
        body="smplh",
        expression=None,
        mask=good,
    )
    return poses, notes
