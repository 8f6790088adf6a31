"""What is decided about an input of `vitruve convert` before any work: its bodies, and whether it can be written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from vitruve.bodies.catalogue import is_own
from vitruve.convert.chosen_bodies import body, body_hash, chosen_body
from vitruve.convert.options import Facts, Options
from vitruve.errors import UsageError
from vitruve.files.hashes import file_hash
from vitruve.formats import FORMATS
from vitruve.formats.fields import kept_gender, read_elsewhere
from vitruve.formats.readers.poses_by_id import ENDINGS
from vitruve.jobs.work import Settled

# Formats that others read no betas from: a BVH holds none, and Vitruve's own file is read by Vitruve.
_NO_BETAS_ELSEWHERE = (".safetensors", ".bvh")


@dataclass(frozen=True)
class Settings:
    """What converting one file needs besides the file.

    Attributes:
        source, target: names or files of the bodies; no source where none is known. Several are joined by plus signs.
        bodies: hashes of the two.
        options: as asked for.
        folder: where licensed bodies lie, before the usual places.
    """

    source: str
    target: str
    bodies: tuple[str, str]
    options: Options
    folder: str | None = None


def settle(path: Path, output: Path, facts: Facts, *, options: Options, folder: str | None) -> Settled:
    """Choose the bodies; raises UsageError where the source does not fit the file or the format the target.

    Args:
        path: the input.
        output: the file or folder to write.
        facts: of `look`.
        options: as asked for.
        folder: where licensed bodies lie, before the usual places.
    """
    genders = facts.gender.split(",")
    targets = [chosen_body(options.to, gender, folder) for gender in genders]
    asked = options.source or facts.body
    sources = [chosen_body(asked, gender, folder, _named(facts.body, gender)) for gender in genders] if asked else []
    said = [note for _, notes in (*sources, *targets) for note in notes]
    said += kept_gender(facts.gender.replace(",", " and "), options.gender)
    notes = dict.fromkeys([*said, *(_read_elsewhere(target, output, folder) for target, _ in targets)])
    for source, _ in sources:
        _check_source(path, facts, source, folder)
    for target, _ in targets:
        _check_format(output, facts, target, options, folder)
    bodies = [[name for name, _ in chosen] for chosen in (sources, targets)]
    hashes = ["+".join(body_hash(name, folder) for name in names) for names in bodies]
    settings = Settings("+".join(bodies[0]), "+".join(bodies[1]), (hashes[0], hashes[1]), options, folder)
    # The bodies and the mapping count by their content, not by their names.
    mapping = file_hash(options.mapping) if Path(options.mapping).is_file() else options.mapping
    wanted = {**asdict(options), "to": "", "source": "", "mapping": mapping}
    del wanted["device"]
    return Settled(
        settings, (*hashes, output.suffix, repr(sorted(wanted.items()))), tuple(note for note in notes if note)
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
