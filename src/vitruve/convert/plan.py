"""The plan of a conversion of many: which input goes where, what is done already, what is left to do.

Looking at an input means reading it once for its hash and, unless a ledger knows that content, once for its length and
body. Nothing is written here.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import vitruve
from vitruve.bodies.catalogue import is_own
from vitruve.convert.fingerprint import content_hash, is_unchanged
from vitruve.convert.inputs import Input
from vitruve.convert.job import Facts, Job, Options, asked_of_readers, body, body_hash, chosen_body, failure, look
from vitruve.convert.ledger import Entry, Ledger
from vitruve.errors import UsageError, VitruveError, nearest
from vitruve.files.hashes import file_hash
from vitruve.formats import FORMATS
from vitruve.formats.exporters.table import EXPORTS
from vitruve.formats.fields import kept_gender, read_elsewhere
from vitruve.formats.readers.poses_by_id import ENDINGS
from vitruve.runs.progress import Progress

# What somebody writes who means a file; folders are called v1.5 or 2024.03 too.
_AN_ENDING = r"\.[A-Za-z][A-Za-z0-9]{1,11}"
_Found = TypeVar("_Found")
_BY_LAYOUT = {"smplx": "amass-smplx", "smplh": "amass-smplh", "smpl": "smpl-npz", "mano": "vitruve"}
# Formats that others read no betas from: a BVH holds none, and Vitruve's own file is read by Vitruve.
_NO_BETAS_ELSEWHERE = (".safetensors", ".bvh")
_WRITTEN_ENDINGS = {*ENDINGS, *(end for row in FORMATS.values() if row.write for end in row.endings if end != "/")}


@dataclass(frozen=True)
class Place:
    """Where results go.

    Attributes:
        folder: holds the ledger and what is said about the run; the results too, unless there is a single file.
        file: the one result, where a file was asked for.
    """

    folder: Path
    file: Path | None = None


@dataclass(frozen=True)
class Plan:
    """What a conversion of many will do.

    Attributes:
        jobs: to do.
        done: ledger entries of what is done.
        failed: entries of inputs that cannot even be looked at.
        notes: what was decided, one sentence each.
    """

    jobs: tuple[Job, ...]
    done: tuple[Entry, ...]
    failed: tuple[dict[str, Any], ...]
    notes: tuple[str, ...] = ()

    @property
    def frames(self) -> int:
        """Frames to do."""
        return sum(job.facts.frames for job in self.jobs)


@dataclass
class _Draft:
    jobs: list[Job] = field(default_factory=list)
    done: list[Entry] = field(default_factory=list)
    failed: list[dict[str, Any]] = field(default_factory=list)
    notes: dict[str, None] = field(default_factory=dict)  # in order, each once
    errors: list[VitruveError] = field(default_factory=list)
    damaged: list[Path] = field(default_factory=list)


def place_of(out: str | Path, inputs: int) -> Place:
    """Where results go for `--out`: a path with the ending of a motion file is a file, everything else a folder."""
    path = Path(os.path.abspath(Path(out).expanduser()))
    if path.suffix.lower() not in _WRITTEN_ENDINGS or path.is_dir():
        if path.suffix.lower() in EXPORTS and not path.is_dir():
            raise UsageError(
                f"'{path.suffix}' is no motion file; it is exported from one",
                where=f"--out {out}",
                fix=f"convert to an .npz, then: vitruve export FILE.npz -o {path.name}",
            )
        if path.exists() and not path.is_dir():
            raise UsageError(
                f"{path.name} is a file that is no motion; a folder or a motion file can be written",
                where=str(path),
                fix=f"choose a folder, or one of the endings {' '.join(sorted(_WRITTEN_ENDINGS))}",
            )
        return Place(path)
    if inputs > 1:
        raise UsageError(
            f"{inputs} motions cannot go into one file", where=f"--out {out}", fix="give a folder: --out converted"
        )
    return Place(path.with_name(f"{path.stem}-report"), path)


def refuse_misspelt(place: Place, out: str | Path) -> None:
    """Raise UsageError where one motion would get a folder that is called as a file is, `walk.xyz` say."""
    suffix = place.folder.suffix
    if place.file is None and not place.folder.exists() and re.fullmatch(_AN_ENDING, suffix):
        raise UsageError(
            f"'{suffix}' is not the ending of a motion file",
            where=f"--out {out}",
            fix=f"{nearest(suffix.lower(), sorted(_WRITTEN_ENDINGS))} A folder of that name is to be made first: mkdir",
        )


def outputs_of(inputs: Sequence[Input], place: Place, options: Options) -> list[Path]:
    """The output of each input: the same tree and names, with the ending of the format.

    Raises:
        UsageError: two inputs have the same output, an output is an input, or the format cannot be written.
    """
    name = format_of(options)
    if place.file is not None:
        if options.format and place.file.suffix.lower() not in FORMATS[name].endings:
            raise UsageError(
                f"'{name}' is not written with the ending '{place.file.suffix}'",
                where=f"--format {name} --out {place.file}",
                fix=f"give one of the two; this format ends in {' '.join(FORMATS[name].endings)}",
            )
        return _checked(inputs, [place.file])
    ending = FORMATS[name].endings[0].rstrip("/")
    paths = []
    for entry in inputs:
        stem = entry.relative.name if entry.path.is_dir() else entry.relative.stem
        paths.append(place.folder / entry.relative.with_name(stem + ending))
    return _checked(inputs, paths)


def format_of(options: Options) -> str:
    """The name of the format that folders are filled with."""
    if options.format:
        if options.format not in FORMATS:
            raise UsageError(f"there is no format '{options.format}'", fix=nearest(options.format, FORMATS))
        if not FORMATS[options.format].write:
            writable = ", ".join(name for name, row in FORMATS.items() if row.write)
            raise UsageError(f"'{options.format}' can be read, not written", fix=f"choose one of: {writable}")
        return options.format
    layout = next((layout for layout in ("smplx", "smplh", "smpl", "mano") if layout in options.to.lower()), "smplx")
    return _BY_LAYOUT[layout]


def make_plan(
    inputs: Sequence[Input],
    options: Options,
    place: Place,
    ledger: Ledger,
    *,
    folder: str | None = None,
    shard: tuple[int, int] = (1, 1),
    overwrite: bool = False,
    progress: Progress | None = None,
) -> Plan:
    """Look at the inputs and say what is to do.

    Args:
        inputs: from `find_inputs`.
        options: what the results depend on.
        place: where they go.
        ledger: what earlier runs have done there.
        folder: where licensed bodies lie, before the usual places.
        shard: (i, n): only the i-th of n parts. A file stays in its part whatever else is there.
        overwrite: replace files that no earlier run has made.
        progress: called with inputs looked at and inputs in all.

    Raises:
        UsageError: two inputs with one output, or an output that is an input.
        VitruveError: no input can be converted, all for the same reason.
    """
    pairs = list(zip(inputs, outputs_of(inputs, place, options), strict=True))
    pairs = [(entry, output) for entry, output in pairs if _in_shard(_name(output, place), shard)]
    draft = _Draft()
    seen = _look_at_all([entry.path for entry, _ in pairs], options, ledger, progress)
    intact = _in_threads(partial(_is_intact, place=place, ledger=ledger), [output for _, output in pairs])
    for (entry, output), found, whole in zip(pairs, seen, intact, strict=True):
        name = _name(output, place)
        try:
            if isinstance(found, VitruveError):
                raise found
            job = _job(entry.path, output, name, found, options, folder, draft)
            done = ledger.done(name, job.key) if whole else None
            if done is None:
                draft.jobs.append(_allowed(job, output, ledger, overwrite, whole, draft))
            else:
                draft.done.append(done)
        except VitruveError as error:
            draft.failed.append(failure(str(entry.path), name, error))
            draft.errors.append(error)
    reasons = {(type(error), error.what) for error in draft.errors}
    if not draft.jobs and not draft.done and len(reasons) == 1:
        raise draft.errors[0]
    if draft.damaged:
        first, *others = draft.damaged
        more = f", and {len(others)} more" if others else ""
        draft.notes[f"made again, since the earlier result is damaged: {first}{more}"] = None
    return Plan(tuple(draft.jobs), tuple(draft.done), tuple(draft.failed), tuple(draft.notes))


def parse_shard(text: str) -> tuple[int, int]:
    """(2, 8) from "2/8"."""
    match = re.fullmatch(r"(\d+)/(\d+)", text.strip())
    part, parts = (int(match[1]), int(match[2])) if match else (0, 0)
    if not 1 <= part <= parts:
        raise UsageError(f"'{text}' names no part of the work", where="--shard", fix="give --shard 1/4 to --shard 4/4")
    return part, parts


def _look_at_all(
    paths: Sequence[Path], options: Options, ledger: Ledger, progress: Progress | None
) -> list[tuple[str, Facts] | VitruveError]:
    found = []
    for result in _in_threads(partial(_look_at, options=options, ledger=ledger), paths):
        found.append(result)
        if progress:
            progress(len(found), len(paths))
    return found


def _in_threads(look_at: Callable[[Path], _Found], paths: Sequence[Path]) -> Iterator[_Found]:
    """Reading and hashing wait for the disk and leave Python free, so threads help."""
    with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as pool:
        yield from pool.map(look_at, paths)


def _is_intact(output: Path, place: Place, ledger: Ledger) -> bool:
    """Whether a result stands there as a run has written it; a ledger that does not tell is of an earlier version."""
    last = ledger.last.get(_name(output, place))
    return last is not None and last.get("event") == "done" and is_unchanged(output, last.get("result") or {})


def _look_at(path: Path, options: Options, ledger: Ledger) -> tuple[str, Facts] | VitruveError:
    try:
        content = content_hash(path)
        known = ledger.facts.get(content)
        # What was found before holds for the rate and gender that were given then, and for a body that the file names.
        if known is None or known.get("asked", "") != asked_of_readers(options) or not known.get("body"):
            return content, look(path, options)
        return content, Facts(**known)
    except VitruveError as error:
        return error


def _job(
    path: Path, output: Path, name: str, found: tuple[str, Facts], options: Options, folder: str | None, draft: _Draft
) -> Job:
    content, facts = found
    genders = facts.gender.split(",")
    targets = [chosen_body(options.to, gender, folder) for gender in genders]
    asked = options.source or facts.body
    sources = [chosen_body(asked, gender, folder, _named(facts.body, gender)) for gender in genders] if asked else []
    said = [note for _, notes in (*sources, *targets) for note in notes]
    said += kept_gender(facts.gender.replace(",", " and "), options.gender)
    notes = tuple(dict.fromkeys([*said, *(_read_elsewhere(target, output, folder) for target, _ in targets)]))
    notes = tuple(note for note in notes if note)
    draft.notes |= dict.fromkeys(notes)
    for source, _ in sources:
        _check_source(path, facts, source, folder)
    for target, _ in targets:
        _check_format(output, facts, target, options, folder)
    bodies = [[name for name, _ in chosen] for chosen in (sources, targets)]
    hashes = ["+".join(body_hash(name, folder) for name in names) for names in bodies]
    # The bodies and the mapping that are meant stand in the key by their content.
    mapping = file_hash(options.mapping) if Path(options.mapping).is_file() else options.mapping
    wanted = {**asdict(options), "to": "", "source": "", "mapping": mapping}
    parts = (vitruve.__version__, content, *hashes, output.suffix, repr(sorted(wanted.items())))
    key = hashlib.sha256("\n".join(parts).encode(errors="surrogateescape")).hexdigest()
    return Job(
        input=str(path),
        output=str(output),
        name=name,
        key=key,
        content=content,
        facts=facts,
        source="+".join(bodies[0]),
        target="+".join(bodies[1]),
        bodies=(hashes[0], hashes[1]),
        options=options,
        notes=notes,
        folder=folder,
    )


def _named(made_on: str, gender: str) -> str:
    """The body that an input names, as `Motion.body_name`."""
    return made_on if not made_on or is_own(made_on) else f"{made_on}-{gender}"


def _read_elsewhere(target: str, output: Path, folder: str | None) -> str:
    """What there is to say of a result whose betas other software takes for those of another body."""
    on = body(target, folder)
    return "" if output.suffix.lower() in _NO_BETAS_ELSEWHERE else read_elsewhere(on.name, on.layout)


def _check_source(path: Path, facts: Facts, source: str, folder: str | None) -> None:
    joints = body(source, folder).skeleton.name
    if facts.skeleton and joints != facts.skeleton:
        layout = next((layout for layout in ("smplx", "smplh", "smpl") if facts.skeleton.startswith(layout)), "")
        raise UsageError(
            f"the motion was not made on '{source}'",
            where=f"{path}: its joints are {facts.skeleton}, those of the body are {joints}",
            fix=f"give --from {layout}" if layout else "leave out --from: a foreign skeleton goes through a mapping",
        )


def _check_format(output: Path, facts: Facts, target: str, options: Options, folder: str | None) -> None:
    """Say before the work that its result could not be written."""
    if facts.kind == "poses":
        if output.suffix.lower() not in ENDINGS:
            endings = ", ".join(ENDINGS)
            raise UsageError("poses are no motion", where=str(output), fix=f"give an output that ends in {endings}")
        return
    joints, ending = body(target, folder).skeleton.name, output.suffix.lower()
    rows = (
        [FORMATS[options.format]]
        if options.format
        else [row for row in FORMATS.values() if row.write and (ending or "/") in row.endings]
    )
    if not any(not row.skeletons or joints in row.skeletons for row in rows):
        raise UsageError(
            f"this format holds no motion on {joints}",
            where=f"{output}: {rows[0].line}",
            fix="choose another: --format vitruve, say",
        )


def _allowed(job: Job, output: Path, ledger: Ledger, overwrite: bool, intact: bool, draft: _Draft) -> Job:
    last = ledger.last.get(job.name)
    ours = last is not None
    if last is not None and last.get("result") and output.exists() and not intact:
        if _holds_a_motion(output, job.options):
            ours = _refuse_changed(output, overwrite)
        else:
            draft.damaged.append(output)
    if output.exists() and not ours and not overwrite:
        raise UsageError(
            "the output exists already, and no conversion into this folder has made it",
            where=str(output),
            fix="choose another --out, or give --overwrite",
        )
    return Job(**{**job.__dict__, "overwrite": ours or overwrite})


def _holds_a_motion(output: Path, options: Options) -> bool:
    """Whether what stands there was changed by someone, rather than cut short by a crash or a full disk."""
    try:
        return look(output, options).frames > 0
    except VitruveError:
        return False


def _refuse_changed(output: Path, overwrite: bool) -> bool:
    if not overwrite:
        raise UsageError(
            "the result of an earlier run was changed since",
            where=str(output),
            fix="move it elsewhere, and it is made again; or give --overwrite",
        )
    return True


def _checked(inputs: Sequence[Input], outputs: list[Path]) -> list[Path]:
    taken: dict[Path, Path] = {}
    sources = {os.path.realpath(entry.path) for entry in inputs}  # resolve() fails on links that go in a circle
    for entry, output in zip(inputs, outputs, strict=True):
        if output in taken:
            raise UsageError(
                "two inputs would get the same output",
                where=f"{taken[output]} and {entry.path}: both {output}",
                fix="convert them into different folders, or give the folder that holds both",
            )
        if os.path.realpath(output) in sources:
            raise UsageError(
                "an output would replace an input", where=str(output), fix="choose another folder: --out converted"
            )
        taken[output] = entry.path
    return outputs


def _name(output: Path, place: Place) -> str:
    return Path(os.path.relpath(output, place.folder)).as_posix()


def _in_shard(name: str, shard: tuple[int, int]) -> bool:
    return int(hashlib.sha256(os.fsencode(name)).hexdigest()[:12], 16) % shard[1] == shard[0] - 1
