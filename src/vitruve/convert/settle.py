"""Choose the bodies for an input of `vitruve convert`, and check that its result can be written."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from vitruve.bodies import BodyModel
from vitruve.bodies.catalogue import is_own, shared_body
from vitruve.convert.chosen_bodies import body_hash, chosen_body
from vitruve.convert.options import Facts, Options
from vitruve.errors import UsageError
from vitruve.files.hashes import file_hash
from vitruve.formats import FORMATS
from vitruve.formats.fields import kept_gender, read_elsewhere
from vitruve.formats.readers.poses_by_id import ENDINGS
from vitruve.jobs.work import Settled

# Formats whose betas no other software reads.
_NO_BETAS_ELSEWHERE = (".safetensors", ".bvh")


@dataclass(frozen=True)
class Settings:
    """What converting one file needs besides the file.

    Attributes:
        source, target: names or files of the bodies, joined by plus signs if several; the source may be empty.
        bodies: hashes of the two.
        options: of the user.
        folder: searched for licensed bodies before the usual places.
    """

    source: str
    target: str
    bodies: tuple[str, str]
    options: Options
    folder: str | None = None


def settle(path: Path, output: Path, facts: Facts, *, options: Options, folder: str | None) -> Settled:
    """Choose the bodies; raises UsageError if the source does not fit the file or the format the target."""
    genders = facts.gender.split(",")
    targets = [chosen_body(options.to, gender, folder) for gender in genders]
    made_on = options.source or facts.body
    sources = []
    for gender in genders if made_on else ():
        named = facts.body if not facts.body or is_own(facts.body) else f"{facts.body}-{gender}"
        sources.append(chosen_body(made_on, gender, folder, named))
    notes = [note for _, of_body in (*sources, *targets) for note in of_body]
    notes += kept_gender(facts.gender.replace(",", " and "), options.gender)
    for source, _ in sources:
        _check_source(path, facts, shared_body(source, folder), source)
    for target in (shared_body(target, folder) for target, _ in targets):
        _check_format(output, facts, target, options)
        if output.suffix.lower() not in _NO_BETAS_ELSEWHERE:
            notes.append(read_elsewhere(target.name, target.layout))
    bodies = [[name for name, _ in chosen] for chosen in (sources, targets)]
    hashes = ["+".join(body_hash(name, folder) for name in names) for names in bodies]
    settings = Settings("+".join(bodies[0]), "+".join(bodies[1]), (hashes[0], hashes[1]), options, folder)
    # The bodies and the mapping count by their content, not by their names.
    mapping = file_hash(options.mapping) if Path(options.mapping).is_file() else options.mapping
    other_options = {**asdict(options), "to": "", "source": "", "mapping": mapping}
    del other_options["device"]
    depends_on = (*hashes, output.suffix, repr(sorted(other_options.items())))
    return Settled(settings, depends_on, tuple(dict.fromkeys(note for note in notes if note)))


def _check_source(path: Path, facts: Facts, body: BodyModel, source: str) -> None:
    joints = body.skeleton.name
    if facts.skeleton and joints != facts.skeleton:
        layout = next((layout for layout in ("smplx", "smplh", "smpl") if facts.skeleton.startswith(layout)), "")
        raise UsageError(
            f"the motion was not made on '{source}'",
            where=f"{path}: its joints are {facts.skeleton}, those of the body are {joints}",
            fix=f"give --from {layout}" if layout else "leave out --from: a foreign skeleton goes through a mapping",
        )


def _check_format(output: Path, facts: Facts, target: BodyModel, options: Options) -> None:
    if facts.kind == "poses":
        if output.suffix.lower() not in ENDINGS:
            endings = ", ".join(ENDINGS)
            fix = f"give an output that ends in {endings}"
            raise UsageError("single poses cannot be written to a motion file", where=str(output), fix=fix)
        return
    joints, ending = target.skeleton.name, output.suffix.lower() or "/"
    rows = [FORMATS[options.format]] if options.format else []
    rows = rows or [row for row in FORMATS.values() if row.write and ending in row.endings]
    if not any(not row.skeletons or joints in row.skeletons for row in rows):
        raise UsageError(
            f"this format cannot hold a motion on {joints}",
            where=f"{output}: {rows[0].line}",
            fix="choose another, such as --format vitruve",
        )
