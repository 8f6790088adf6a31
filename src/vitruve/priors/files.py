"""Files that a prior reads and writes: poses keyed by id, motions, arrays and latent codes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.pickles import existing_file, read_npz
from vitruve.convert.poses import Poses, read_poses, write_poses
from vitruve.errors import BadData, UsageError
from vitruve.files.atomic import replacing
from vitruve.files.smpl_layouts import SKELETONS
from vitruve.formats import load_motion, save_motion
from vitruve.formats.axis_angle import rotations_of_file
from vitruve.formats.fields import real_array
from vitruve.geometry.rotations import matrix_to_axis_angle
from vitruve.motion import Motion
from vitruve.priors.denoising import denoise, denoise_motion, estimate_noise
from vitruve.priors.prior import Prior
from vitruve.priors.torch_file import read_torch_file, tensors_of
from vitruve.priors.vposer import JOINTS
from vitruve.skeletons import load_skeleton

_BODY_JOINTS = slice(1, JOINTS + 1)
# Keys that show that an npz is a motion or poses keyed by id.
_OF_MOTIONS = ("poses", "ids", "mocap_framerate", "mocap_frame_rate", "fps", "frame_rate", "framerate")
# Poses in one block.
_BLOCK = 10_000


def poses_of(rotations: Float[Tensor, "poses 21 3 3"], ids: Sequence[str], body: BodyModel) -> Poses:
    """Poses of mean shape on a body; the root is that of an upright T-pose of AMASS, z up."""
    full = body.rest_rotations(len(rotations))
    full[:, _BODY_JOINTS] = rotations.to(full)
    full[:, 0] = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    return _plain_poses(full, ids, body.gender, body.make)


def _plain_poses(rotations: Tensor, ids: Sequence[str], gender: str, body: str, mask: Tensor | None = None) -> Poses:
    count = len(rotations)
    return Poses(
        ids=tuple(ids),
        rotations=rotations,
        translation=rotations.new_zeros(count, 3),
        betas=rotations.new_zeros(count, 0),
        genders=(gender,) * count,
        body=body,
        expression=None,
        mask=torch.ones(count, dtype=torch.bool) if mask is None else mask,
    )


def read_any(path: str | Path, gender: str | None = None) -> Poses | Motion:
    """Poses keyed by id, a motion on a body with the 21 joints, or a bare array (see `bare_poses`).

    `gender` is for files without one.
    """
    path = Path(path)
    bare = bare_poses(path, gender)
    if bare is not None:
        return bare
    if path.suffix == ".json" or (path.suffix == ".npz" and path.is_file() and "ids" in read_npz(path)):
        return read_poses(path, gender=gender)
    motion = load_motion(path, gender=gender)
    if not motion.body or motion.skeleton.name not in SKELETONS.values():
        raise UsageError(
            "a pose prior takes motions on SMPL, SMPL+H or SMPL-X",
            where=f"{path}: skeleton '{motion.skeleton.name}'",
            fix="convert it to a body first: vitruve convert FILE --to open-smplh",
        )
    return motion


def bare_poses(path: Path, gender: str | None = None) -> Poses | None:
    """Poses from an array, with row numbers as ids; None for other files.

    The array is axis-angle [poses, 63] or [poses, 21, 3], as .npy, as .pt of `torch.save`, or as `pose_body` of an npz
    without a frame rate, `poses` and ids. Other content is ignored.
    """
    if path.suffix == ".npy":
        values: Any = _read_npy(path)
    elif path.suffix == ".pt":
        content = read_torch_file(path)
        content = content.get("pose_body", content) if isinstance(content, dict) else content
        values = tensors_of({"pose_body": content}, str(path))["pose_body"]
    elif path.suffix == ".npz" and path.is_file():
        arrays = read_npz(path)
        if "pose_body" not in arrays or any(key in arrays for key in _OF_MOTIONS):
            return None
        values = arrays["pose_body"]
    else:
        return None
    array = real_array(values, "pose_body", path)
    if array.shape[1:] not in ((3 * JOINTS,), (JOINTS, 3)):
        raise BadData(
            "the array does not hold poses of the 21 body joints",
            where=f"{path}: shape {array.shape}, expected [poses, {3 * JOINTS}] or [poses, {JOINTS}, 3]",
            fix="give the axis-angle of joints 1 to 21, without root and hands: poses[:, 3:66] of AMASS",
        )
    vectors = torch.from_numpy(array.reshape(len(array), JOINTS, 3))
    rotations, valid = rotations_of_file(vectors.float())
    full = torch.eye(3).repeat(len(array), len(load_skeleton("smpl24")), 1, 1)
    full[:, _BODY_JOINTS] = rotations
    return _plain_poses(full, _numbers(len(array)), gender or "neutral", "smpl", valid)


def _numbers(count: int) -> tuple[str, ...]:
    return tuple(map(str, range(count)))


def _read_npy(path: Path) -> np.ndarray:
    path = existing_file(path)
    try:
        return np.load(path, allow_pickle=False)
    except (ValueError, EOFError, OSError) as error:
        where = f"{path}: {error}"
        raise BadData("the file is not a numpy array", where=where, fix="save it with numpy.save, as floats") from None


def write_codes(prior: Prior, source: Poses | Motion, path: Path, overwrite: bool = False) -> int:
    """Write the latent codes of poses: .npz with `mean` and `std` [poses, latent] and ids, or .npy of the mean.

    Codes of masked poses are NaN. Returns the number of poses.
    """
    rotations = source.rotations[:, _BODY_JOINTS]
    with torch.no_grad():
        parts = [prior.encode(part) for part in rotations.split(_BLOCK)]
    codes = {name: torch.cat([getattr(part, name) for part in parts]).cpu() for name in ("mean", "std")}
    if source.mask is not None:
        codes = {name: value.masked_fill(~source.mask[:, None], torch.nan) for name, value in codes.items()}
    with replacing(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        if path.suffix == ".npy":
            np.save(file, codes["mean"].numpy(), allow_pickle=False)
        else:
            ids = {} if isinstance(source, Motion) else {"ids": np.asarray(source.ids)}
            arrays = {name: value.numpy() for name, value in codes.items()}
            np.savez_compressed(file, allow_pickle=False, **arrays, prior=np.asarray(prior.name), **ids)
    return len(rotations)


def read_codes(path: Path, latent: int) -> tuple[Float[Tensor, "poses latent"], tuple[str, ...]]:
    """Codes and ids from a file of `write_codes` or any .npy [poses, latent]; the default ids are row numbers."""
    ids = None
    if path.suffix == ".npz":
        arrays = read_npz(path)
        if "mean" not in arrays:
            where = f"{path}: keys are {', '.join(list(arrays)[:8]) or 'none'}"
            raise BadData("there are no codes in this file", where=where, fix="give `mean` [poses, latent]")
        values, ids = arrays["mean"], arrays["ids"].tolist() if "ids" in arrays else None
    else:
        values = _read_npy(path)
    array = real_array(values, "mean", path)
    if array.ndim != 2 or array.shape[1] != latent:
        where = f"{path}: shape {array.shape}, expected [poses, {latent}]"
        raise BadData("these are not codes of this prior", where=where, fix="give the prior that encoded them")
    names = _numbers(len(array)) if ids is None else tuple(map(str, ids))
    if len(names) != len(array):
        where = f"{path}: {len(names)} ids, {len(array)} codes"
        raise BadData("ids and codes differ in number", where=where, fix="give one id for each code")
    return torch.from_numpy(array).float(), names


def write_decoded(
    prior: Prior,
    codes: Float[Tensor, "poses latent"],
    ids: Sequence[str],
    path: Path,
    body: BodyModel,
    overwrite: bool = False,
) -> None:
    """Write the poses of codes: axis-angle [poses, 63] as .npy, or keyed by id."""
    with torch.no_grad():
        parts = [prior.decode(part) for part in codes.nan_to_num(0.0, 0.0, 0.0).split(_BLOCK)]
    rotations = torch.cat(parts).cpu() if parts else torch.zeros(0, JOINTS, 3, 3)
    _write(replace(poses_of(rotations, ids, body), mask=codes.isfinite().all(1)), path, overwrite)


def _write(poses: Poses, path: Path, overwrite: bool) -> None:
    if path.suffix != ".npy":
        write_poses(poses, path, overwrite=overwrite)
        return
    vectors = matrix_to_axis_angle(poses.rotations[:, _BODY_JOINTS]).flatten(1)
    vectors = vectors.masked_fill(~poses.mask[:, None], torch.nan)
    with replacing(path, overwrite=overwrite) as temporary, temporary.open("wb") as file:
        np.save(file, vectors.cpu().numpy(), allow_pickle=False)


def noise_of(source: Poses | Motion, path: Path, degrees: float | None) -> Float[Tensor, "21"]:
    """The noise of each joint (radians, standard deviation about each axis): the given value, or estimated."""
    if degrees is not None:
        return torch.full((JOINTS,), math.radians(degrees))
    if isinstance(source, Poses):
        raise UsageError(
            "the noise of single poses cannot be estimated", where=str(path), fix="give their noise: --noise-deg 5"
        )
    return estimate_noise(source.rotations[:, _BODY_JOINTS], source.mask)


def denoised(prior: Prior, source: Poses | Motion, noise: Float[Tensor, "21"]) -> Float[Tensor, "poses 21 3 3"]:
    """Denoised rotations of the body joints; masked poses stay unchanged."""
    rotations = source.rotations[:, _BODY_JOINTS]
    if isinstance(source, Motion):
        return denoise_motion(prior, rotations, noise, source.mask)
    out = rotations.clone()
    out[source.mask] = denoise(prior, rotations[source.mask], noise)
    return out


def out_names(source: Poses | Motion, out: Path, count: int, overwrite: bool) -> list[Path]:
    """The files that `write_variants` writes; raises if one exists and may not be replaced."""
    single = count == 1 or isinstance(source, Poses)
    names = [out] if single else [out.with_name(f"{out.stem}-{i + 1}{out.suffix}") for i in range(count)]
    for name in names:
        if name.exists() and not overwrite:
            raise UsageError("the output already exists", where=str(name), fix="choose another, or give --overwrite")
    return names


def write_variants(
    source: Poses | Motion, rotations: Float[Tensor, "poses variants 21 3 3"], names: Sequence[Path], overwrite: bool
) -> None:
    """Write the source with other rotations of the body joints, several variants of each pose.

    Args:
        source: from `read_any`.
        rotations: of joints 1 to 21.
        names: from `out_names`.
        overwrite: replace existing files.
    """
    variants = rotations.shape[1]
    if isinstance(source, Motion):
        for i, name in enumerate(names):
            changed = source.rotations.clone()
            changed[:, _BODY_JOINTS] = rotations[:, i].to(changed)
            save_motion(source.replace(rotations=changed), name, overwrite=overwrite)
        return
    rows = torch.arange(len(source)).repeat_interleave(variants)
    full = source.rotations[rows].clone()
    full[:, _BODY_JOINTS] = rotations.flatten(0, 1).to(full)
    ids = source.ids if variants == 1 else [f"{name}-{i + 1}" for name in source.ids for i in range(variants)]
    poses = replace(
        source,
        ids=tuple(ids),
        rotations=full,
        translation=source.translation[rows],
        betas=source.betas[rows],
        genders=tuple(source.genders[int(i)] for i in rows),
        expression=None if source.expression is None else source.expression[rows],
        mask=source.mask[rows],
    )
    _write(poses, names[0], overwrite)
