"""Load bodies by name, and find their files."""

from __future__ import annotations

import functools
import hashlib
import os
import re
import tomllib
import warnings
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from vitruve.bodies import open_body
from vitruve.bodies.body_model import BodyModel
from vitruve.bodies.files import BodyNotice, read_body
from vitruve.errors import BadData, MissingAsset, UsageError, nearest
from vitruve.threads import one_torch_thread

# One folder, several, or none.
Folders = str | Path | Sequence[str | Path] | None
_ENDINGS = (".npz", ".pkl", ".safetensors")
# Shape directions that identify a shape space; every file has at least as many.
_HASHED_BETAS = 10


@dataclass(frozen=True)
class Licensed:
    """Where the files of a licensed layout come from, and their names.

    Attributes:
        site: where the user registers.
        folders: usual folder names, below a folder of bodies.
        files: file names; {gender}, {GENDER} and {g} stand for female, FEMALE and f.
    """

    site: str
    folders: tuple[str, ...]
    files: tuple[str, ...]


def _model_files(prefix: str, *endings: str) -> tuple[str, ...]:
    return tuple(f"{prefix}{ending}" for ending in endings)


_BY_GENDER = _model_files("{gender}/model", ".npz", ".pkl", ".safetensors")
LICENSED = {
    "smpl": Licensed(
        "smpl.is.tue.mpg.de",
        ("smpl", "SMPL", "smpl/models", "SMPL_python_v.1.1.0/smpl/models", ""),
        (
            *_model_files("SMPL_{GENDER}", ".pkl", ".npz", ".safetensors"),
            "basicmodel_{g}_lbs_10_207_0_v1.1.0.pkl",
            "basicModel_{g}_lbs_10_207_0_v1.0.0.pkl",
            "basicmodel_{g}_lbs_10_207_0_v1.0.0.pkl",
            *_BY_GENDER,
        ),
    ),
    "smplh": Licensed(
        "mano.is.tue.mpg.de",
        ("smplh", "SMPLH", "smplh16", "mano_v1_2/models", ""),
        (*_model_files("SMPLH_{GENDER}", ".pkl", ".npz", ".safetensors"), "SMPLH_{gender}.pkl", *_BY_GENDER),
    ),
    "smplx": Licensed(
        "smpl-x.is.tue.mpg.de",
        (
            *("smplx", "SMPLX", "smplx/models", "models/smplx", "models_smplx_v1_1/models/smplx"),
            *("smplx_lockedhead_20230207/models_lockedhead/smplx", "smplx_locked_head", ""),
        ),
        (*_model_files("SMPLX_{GENDER}", ".npz", ".pkl", ".safetensors"), *_BY_GENDER),
    ),
    "mano": Licensed(
        "mano.is.tue.mpg.de",
        ("mano", "MANO", "mano_v1_2/models", ""),
        _model_files("MANO_{GENDER}", ".pkl", ".npz", ".safetensors"),
    ),
}

_USUAL = ("body_models", "models", "~/body_models", "~/.vitruve/bodies", "~/.cache/vitruve/bodies")
# Environment variables of other libraries: (variable, folder below it).
_VARIABLES = (("SMPLFITTER_BODY_MODELS", ""), ("DATA_ROOT", "body_models"), ("SMPLX_MODEL_PATH", ""))


def body_names() -> tuple[str, ...]:
    """All names that `load_body` knows, the open bodies first."""
    return tuple(
        f"{prefix}{layout}-{gender}"
        for prefix in ("open-", "")
        for layout in LICENSED
        for gender in open_body.open_genders(layout)
    )


@one_torch_thread()
def load_body(
    name: str | Path,
    *,
    folder: Folders = None,
    num_betas: int | None = None,
    dtype: torch.dtype = torch.float32,
) -> BodyModel:
    """A body by name, or by the path of its file.

    Args:
        name: "smplx-neutral", "mano-left", "open-smplh-female" and so on (see `body_names`); "smplx" means neutral.
            If no SMPL-X file is found, "smplx" alone falls back to the open body with a warning; likewise the others.
            "mine#1f3a9c02" is a file mine.npz (.pkl, .safetensors) in the searched folders with that shape space.
        folder: searched before VITRUVE_BODIES, the config file and the usual folders.

    Raises:
        UsageError: an unknown name, or more betas than the file has.
        MissingAsset: the file was not found; the error lists the searched folders and where to get it.
        BadData: the file is damaged.
    """
    if is_path(name):
        return _from_file(Path(name), folder, num_betas, dtype)
    if is_own(str(name)):
        return _own_body(str(name), folder, num_betas, dtype)
    layout, gender, is_open = parse_name(str(name))
    if is_open:
        return open_body.load_open_body(layout, gender, num_betas, dtype)
    path = find_file(layout, gender, folder)
    if path is not None:
        body = read_body(path, gender=gender, layout=layout, num_betas=num_betas, dtype=dtype)
        if not _is_exported(body):
            body.name = f"{layout}-{gender}"
        return body
    if str(name).lower() == layout and not is_installed(layout, folder):
        warnings.warn(
            f"no {layout} file was found: using the open body 'open-{layout}-{gender}' for '{name}'",
            BodyNotice,
            stacklevel=2,
        )
        return open_body.load_open_body(layout, gender, num_betas, dtype)
    raise _missing(layout, gender, folder)


def shared_body(name: str | Path, folder: str | Path | None = None) -> BodyModel:
    """A cached `load_body`: one read-only body per process, reloaded when its file changes.

    Do not modify it or move it to another device. Its split skin and its maps to other bodies are cached with it. The
    cache holds the few bodies that were used last.
    """
    path: Path | None = None
    if is_path(name):
        path = Path(name)
    elif not is_own(str(name)):
        layout, gender, is_open = parse_name(str(name))
        path = None if is_open else find_file(layout, gender, folder)
    state = path.stat() if path is not None and path.is_file() else None
    return _shared(name, folder, path, state and (state.st_mtime_ns, state.st_size))


# A body of 10,000 vertices takes 100 MB and its split skin as much again; a data set needs two of each gender.
@functools.lru_cache(maxsize=6)
def _shared(name: str | Path, folder: str | Path | None, path: Path | None, state: tuple[int, int] | None) -> BodyModel:
    """`path` and `state` are cache keys only: they change with the file's content."""
    return load_body(name, folder=folder)


def is_path(name: str | Path) -> bool:
    """Whether a body is given by file path rather than by name."""
    return isinstance(name, Path) or os.sep in name or Path(name).suffix in _ENDINGS


def is_own(name: str) -> bool:
    """Whether a body name refers to a user's own file, such as "mine#1f3a9c02"."""
    return "#" in name


def shape_hash(body: BodyModel) -> str:
    """Hash of a shape space, eight letters: mean shape and first ten directions in single precision."""
    space = torch.cat([body.template[..., None], body.shape_basis[..., :_HASHED_BETAS]], -1).detach().cpu().float()
    return hashlib.sha256((space + 0.0).contiguous().numpy().tobytes()).hexdigest()[:8]  # no minus zero


def parse_name(name: str) -> tuple[str, str, bool]:
    """(layout, gender, whether it is the open body) of a catalogue name."""
    known = body_names()
    plain = name.lower().replace("_", "-")
    layouts = (*LICENSED, *(f"open-{layout}" for layout in LICENSED))
    if plain in layouts:
        if plain.endswith("mano"):
            raise UsageError(f"body '{name}' does not say which hand", fix=f"use {plain}-left or {plain}-right")
        plain += "-neutral"
    if plain not in known:
        hint = nearest(plain, (*layouts, *known))
        raise UsageError(f"unknown body '{name}'", fix=f"{hint} Or give the path of a model file")
    *prefix, layout, gender = plain.split("-")
    return layout, gender, bool(prefix)


def find_file(layout: str, gender: str, folder: Folders = None) -> Path | None:
    """The file of a licensed body, or None."""
    candidates = (path for root in search_folders(folder) for path in _candidates(root, layout, gender))
    return next((path for path in candidates if path.is_file()), None)


def is_installed(layout: str, folder: Folders = None) -> bool:
    """Whether there is a licensed file of a layout, of any gender."""
    return any(find_file(layout, gender, folder) for gender in open_body.open_genders(layout))


def find_bodies(folder: Folders = None) -> dict[str, Path]:
    """All licensed bodies found: name to file."""
    bodies = ((layout, gender) for layout in LICENSED for gender in open_body.open_genders(layout))
    return {f"{layout}-{gender}": path for layout, gender in bodies if (path := find_file(layout, gender, folder))}


def search_folders(folder: Folders = None) -> dict[Path, str]:
    """Folders in the order they are searched, with the reason for each: the argument, a variable, the config file."""
    argument = [] if folder is None else [folder] if isinstance(folder, str | Path) else list(folder)
    by_reason: list[tuple[str, Iterable[str | Path]]] = [
        ("folder given", argument),
        ("VITRUVE_BODIES", filter(None, os.environ.get("VITRUVE_BODIES", "").split(os.pathsep))),
        (str(config_file()), _configured()),
        *((name, [Path(os.environ[name]) / below]) for name, below in _VARIABLES if os.environ.get(name)),
        ("usual folder", _USUAL),
    ]
    reasons: dict[Path, str] = {}
    for reason, paths in by_reason:
        for path in paths:
            reasons.setdefault(Path(path).expanduser(), reason)
    return reasons


def config_file() -> Path:
    """The user's config file, which can list folders of bodies: `bodies = ["/data/body_models"]`."""
    home = os.environ.get("XDG_CONFIG_HOME") or "~/.config"
    return Path(home).expanduser() / "vitruve" / "config.toml"


def _configured() -> list[Path]:
    path = config_file()
    try:
        if not path.is_file():
            return []
        folders = tomllib.loads(path.read_text(encoding="utf-8")).get("bodies", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise BadData("the config file cannot be read", where=f"{path}: {error}", fix="fix or remove it") from None
    folders = [folders] if isinstance(folders, str) else folders
    if not isinstance(folders, list) or not all(isinstance(entry, str) for entry in folders):
        raise BadData(
            "'bodies' in the config file is not a list of folders", where=str(path), fix='bodies = ["/a/folder"]'
        )
    return [Path(entry).expanduser() for entry in folders]


def _candidates(root: Path, layout: str, gender: str) -> Iterator[Path]:
    """Possible paths of a body's file below a folder."""
    licensed = LICENSED[layout]
    letter = gender if gender == "neutral" else gender[0]
    for folder in licensed.folders:
        for file in licensed.files:
            # Only its folder tells the layout of `female/model.npz`: do not look for it directly in a folder of all
            # bodies, unless that folder is itself the one of this layout.
            if file.startswith("{gender}/") and not folder and not re.match(f"{layout}(?![a-z])", root.name.lower()):
                continue
            yield root / folder / file.format(gender=gender, GENDER=gender.upper(), g=letter)


def _is_exported(body: BodyModel) -> bool:
    """Whether a file in an official layout holds the open body, as written by `vitruve bodies export`."""
    return body.name.startswith("open-") and body.name in body_names()


def _from_file(path: Path, folder: Folders, num_betas: int | None, dtype: torch.dtype) -> BodyModel:
    """Load a body from a file, with a unique name."""
    body = read_body(path, num_betas=num_betas, dtype=dtype)
    if _is_exported(body):
        return body
    known = find_file(body.layout, body.gender, folder)
    if known is not None and known.samefile(path):
        body.name = f"{body.layout}-{body.gender}"
    else:
        enough = num_betas is None or num_betas >= _HASHED_BETAS
        body.name = f"{path.stem}#{shape_hash(body if enough else read_body(path))}"
    return body


def _own_body(name: str, folder: Folders, num_betas: int | None, dtype: torch.dtype) -> BodyModel:
    """Find the body of a user's own file by the name stored in motions, such as "mine#1f3a9c02"."""
    stem, _, wanted = name.rpartition("#")
    others: list[str] = []
    for path in _files_named(stem, folder):
        body = read_body(path)
        if shape_hash(body) == wanted:
            if num_betas is not None or dtype != body.dtype:
                body = read_body(path, num_betas=num_betas, dtype=dtype)
            body.name = name
            return body
        others.append(str(path))
    looked = ", ".join(str(path) for path in search_folders(folder))
    raise MissingAsset(
        f"the body '{name}' was not found; it comes from a file named {stem}",
        where=f"{', '.join(others)}: another shape space" if others else f"looked for {stem}.npz (.pkl) in {looked}",
        fix="give its folder: --bodies FOLDER, or the file itself: --from FILE or --body FILE",
    )


def _files_named(stem: str, folder: Folders) -> Iterator[Path]:
    below = {below for licensed in LICENSED.values() for below in licensed.folders}
    places = [
        place
        for inside in sorted(below)
        for place in (inside, *(f"{inside}/{g}" for g in open_body.open_genders("smpl")))
    ]
    for root in search_folders(folder):
        for place in places:
            for ending in _ENDINGS:
                path = root / place.lstrip("/") / f"{stem}{ending}"
                if path.is_file():
                    yield path


def _missing(layout: str, gender: str, folder: Folders) -> MissingAsset:
    licensed = LICENSED[layout]
    files = " or ".join(file.format(gender=gender, GENDER=gender.upper(), g=gender[0]) for file in licensed.files[:2])
    looked = ", ".join(str(path) for path in search_folders(folder))
    return MissingAsset(
        f"the body '{layout}-{gender}' was not found; it is licensed and cannot ship with Vitruve",
        where=f"looked for {licensed.folders[0]}/{files} in {looked}",
        fix=f"register at {licensed.site}, put the file into one of these folders (or set VITRUVE_BODIES); "
        f"or use the open body: 'open-{layout}-{gender}'",
    )
