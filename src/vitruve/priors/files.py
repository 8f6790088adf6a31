"""Files that a prior reads and writes: poses keyed by id, or motions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor

from vitruve.bodies import BodyModel
from vitruve.bodies.pickles import read_npz
from vitruve.convert.poses import Poses, read_poses, write_poses
from vitruve.errors import UsageError
from vitruve.formats import load_motion, save_motion
from vitruve.motion import Motion
from vitruve.priors.denoising import denoise, denoise_motion, estimate_noise
from vitruve.priors.prior import Prior
from vitruve.priors.vposer import JOINTS


def poses_of(rotations: Float[Tensor, "poses 21 3 3"], ids: Sequence[str], body: BodyModel) -> Poses:
    """Poses of mean shape on a body, root as in a T-pose of AMASS: upright, z up."""
    full = body.rest_rotations(len(rotations))
    full[:, 1 : JOINTS + 1] = rotations.to(full)
    full[:, 0] = torch.tensor([[1.0, 0, 0], [0, 0, -1], [0, 1, 0]])
    make = "open-" if body.name.startswith("open-") else ""
    return Poses(
        ids=tuple(ids),
        rotations=full,
        translation=full.new_zeros(len(full), 3),
        betas=full.new_zeros(len(full), 0),
        genders=(body.gender,) * len(full),
        body=f"{make}{body.layout}",
        expression=None,
        mask=torch.ones(len(full), dtype=torch.bool),
    )


def read_any(path: str | Path) -> Poses | Motion:
    """Poses keyed by id, or a motion, on a body that has the 21 joints."""
    path = Path(path)
    if path.suffix == ".json" or (path.suffix == ".npz" and path.is_file() and "ids" in read_npz(path)):
        return read_poses(path)
    motion = load_motion(path)
    if motion.body.rpartition("-")[2] not in ("smpl", "smplh", "smplx"):
        raise UsageError(
            "a pose prior takes motions on SMPL, SMPL+H or SMPL-X",
            where=f"{path}: skeleton '{motion.skeleton.name}'",
            fix="bring it to a body first: vitruve convert FILE --to open-smplh",
        )
    return motion


def noise_of(source: Poses | Motion, path: Path, degrees: float | None) -> Float[Tensor, "21"]:
    """The noise of each joint (radians, standard deviation about each axis): as given, or as found in a motion."""
    if degrees is not None:
        return torch.full((JOINTS,), math.radians(degrees))
    if isinstance(source, Poses):
        raise UsageError(
            "single poses do not show how noisy they are",
            where=str(path),
            fix="say how far off joints are: --noise-deg 5",
        )
    return estimate_noise(source.rotations[:, 1 : JOINTS + 1], source.mask)


def denoised(prior: Prior, source: Poses | Motion, noise: Float[Tensor, "21"]) -> Float[Tensor, "poses 21 3 3"]:
    """The rotations of the body joints with less noise; what is masked stays as it is."""
    rotations = source.rotations[:, 1 : JOINTS + 1]
    if isinstance(source, Motion):
        return denoise_motion(prior, rotations, noise, source.mask)
    out = rotations.clone()
    out[source.mask] = denoise(prior, rotations[source.mask], noise)
    return out


def out_names(source: Poses | Motion, out: Path, count: int, overwrite: bool) -> list[Path]:
    """The files that `write_variants` writes; an error where one is there and may not be replaced."""
    alone = count == 1 or isinstance(source, Poses)
    names = [out] if alone else [out.with_name(f"{out.stem}-{i + 1}{out.suffix}") for i in range(count)]
    for name in names:
        if name.exists() and not overwrite:
            raise UsageError("the output exists already", where=str(name), fix="choose another, or give --overwrite")
    return names


def write_variants(
    source: Poses | Motion, rotations: Float[Tensor, "poses variants 21 3 3"], names: Sequence[Path], overwrite: bool
) -> None:
    """Write the source with other rotations of its body joints; what else it holds stays.

    Args:
        source: from `read_any`.
        rotations: of the joints 1 to 21; several variants of each pose.
        names: from `out_names`.
        overwrite: replace files that are there.
    """
    variants = rotations.shape[1]
    if isinstance(source, Motion):
        for i, name in enumerate(names):
            changed = source.rotations.clone()
            changed[:, 1 : JOINTS + 1] = rotations[:, i].to(changed)
            save_motion(source.replace(rotations=changed), name, overwrite=overwrite)
        return
    rows = torch.arange(len(source)).repeat_interleave(variants)
    full = source.rotations[rows].clone()
    full[:, 1 : JOINTS + 1] = rotations.flatten(0, 1).to(full)
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
    write_poses(poses, names[0], overwrite=overwrite)
