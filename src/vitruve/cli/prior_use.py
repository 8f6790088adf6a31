"""`vitruve prior sample`, `complete`, `denoise`, `encode` and `decode`: uses of a trained prior."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from cyclopts.validators import Number

from vitruve.cli.options import Count, Device, DryRun, Gender, Out, Overwrite, PriorPath, Quiet
from vitruve.cli.output import print_place
from vitruve.errors import UsageError

# How many poses the picture shows.
_MOST_DRAWN = 48


def sample(
    prior: PriorPath,
    *,
    out: Out,
    count: Count = 24,
    seed: int = 0,
    body: str = "open-smplx-neutral",
    device: Device = "cpu",
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Draw poses from a prior: a file for `vitruve convert`, a picture and a page.

    Examples: `vitruve prior sample run --out poses`, `vitruve prior sample V02_05 --out poses --count 100 --seed 7`.

    Args:
        out: the folder to write.
        count: how many poses.
        seed: of the poses.
        body: the body of the file and the picture.
    """
    import torch

    from vitruve.bodies import load_body
    from vitruve.convert.poses import write_poses
    from vitruve.devices import device_of
    from vitruve.draw import save_picture
    from vitruve.priors import load_prior
    from vitruve.priors.files import poses_of
    from vitruve.priors.released import energy_rows
    from vitruve.report.prior_page import pose_sheet, sample_page
    from vitruve.runs import run_folder
    from vitruve.runs.folder import check_out

    check_out(out, "prior sample", overwrite)
    loaded, model = load_prior(prior).to(device_of(device)), load_body(body)
    if dry_run:
        print(f"would write {count} poses to {out / 'poses.npz'}, {out / 'samples.png'}")
        return
    options = {"prior": prior, "count": count, "seed": seed, "body": body, "device": device}
    inputs = [prior] if prior.is_file() else []
    with run_folder(out, "prior sample", options, inputs, overwrite) as run:
        rotations = loaded.sample(count, torch.Generator().manual_seed(seed))
        energies = loaded.energy(rotations).cpu()
        labels = [f"{i:03d}  energy {energy:.1f}" for i, energy in enumerate(energies.tolist())]
        write_poses(poses_of(rotations, [f"{i:03d}" for i in range(count)], model), run.path / "poses.npz")
        sheet = pose_sheet(rotations[:_MOST_DRAWN], model, labels[:_MOST_DRAWN])
        save_picture(sheet, run.path / "samples.png")
        facts = [("poses", count), ("seed", seed), ("prior", loaded.name)]
        facts += [("mean energy, nats", f"{float(energies.mean()):.1f}"), *energy_rows(loaded)]
        run.report(sample_page(loaded.name, sheet, facts, loaded.words.get("data", {})))
        run.results({"poses": count, "seed": seed, "energy_nats": energies})
    if not quiet:
        print_place(out)


def complete(
    prior: PriorPath,
    file: Path,
    *,
    missing: str,
    out: Out,
    hypotheses: Count = 1,
    seed: int = 0,
    gender: Gender = None,
    device: Device = "cpu",
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Fill in joints that are missing from poses or from a motion, frame by frame.

    Known joints stay as they are. With several hypotheses, the poses of a pose file get the ids "ID-1", "ID-2" and so
    on; a motion gets one file for each.

    Examples: `vitruve prior complete run poses.npz --missing left_arm --hypotheses 5 --out filled.npz`.

    Args:
        file: poses keyed by id, or a motion, on a body of SMPL's, SMPL+H's or SMPL-X's joints.
        missing: joints or left_arm, right_arm, arms, left_leg, right_leg, legs, trunk, head; with commas.
        out: the file to write; its suffix gives the format.
        hypotheses: completions of each pose.
        seed: of the completions.
    """
    from vitruve.devices import device_of
    from vitruve.priors import files, load_prior
    from vitruve.priors.completion import complete as fill
    from vitruve.priors.completion import joint_mask

    known = joint_mask([name.strip() for name in missing.split(",") if name.strip()])
    loaded, source = load_prior(prior).to(device_of(device)), files.read_any(file, gender)
    names = files.out_names(source, out, hypotheses, overwrite)
    if dry_run:
        print(f"would fill {int((~known).sum())} joints of {len(source):,} poses into {', '.join(map(str, names))}")
        return
    import torch

    rotations = source.rotations[:, 1:22]
    filled = fill(loaded, rotations, known, hypotheses, torch.Generator().manual_seed(seed))
    files.write_variants(source, filled, names, overwrite)
    if not quiet:
        print(f"{int((~known).sum())} joints filled in {len(source):,} poses: {', '.join(map(str, names))}")


def denoise(
    prior: PriorPath,
    file: Path,
    *,
    noise_deg: Annotated[float | None, Parameter(validator=Number(gt=0))] = None,
    out: Out,
    gender: Gender = None,
    device: Device = "cpu",
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Remove noise from poses or from a motion: the observation is weighed against what the prior expects.

    In a motion, neighbouring frames also contribute to the expectation and to the estimate of the noise. The error of
    the expectation is measured on the file itself, so the result is no worse than the file where the noise is right.

    Examples: `vitruve prior denoise open noisy.npz --out clean.npz`, `vitruve prior denoise run poses.npz --noise-deg 5
    --out clean.npz`.

    Args:
        file: poses keyed by id, or a motion, on a body of SMPL's, SMPL+H's or SMPL-X's joints.
        noise_deg: standard deviation of the noise in degrees about each axis; by default estimated from a motion,
            required for poses.
        out: the file to write; its suffix gives the format.
    """
    import math

    from vitruve.devices import device_of
    from vitruve.geometry.rotations import geodesic_distance
    from vitruve.priors import files, load_prior

    loaded, source = load_prior(prior).to(device_of(device)), files.read_any(file, gender)
    names = files.out_names(source, out, 1, overwrite)
    noise = files.noise_of(source, file, noise_deg)
    if dry_run:
        print(f"would change {len(source):,} poses into {names[0]}")
        return
    rotations = source.rotations[:, 1:22]
    result = files.denoised(loaded, source, noise)
    files.write_variants(source, result[:, None], names, overwrite)
    if not quiet:
        turned = math.degrees(float(geodesic_distance(rotations, result).mean()))
        found = "" if noise_deg else f"Noise found: {math.degrees(float(noise.median())):.1f} degrees about each axis. "
        print(f"{found}{len(source):,} poses changed by {turned:.1f} degrees a joint in the mean: {names[0]}")


def encode(
    prior: PriorPath,
    file: Path,
    *,
    out: Out,
    device: Device = "cpu",
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write the latent codes of poses or of a motion's frames: .npz with `mean` and `std`, or .npy of the mean alone.

    Examples: `vitruve prior encode open pose_body.npy --out codes.npz`, `vitruve prior encode V02_05 test/pose_body.pt
    --out codes.npz`.

    Args:
        file: a motion, poses keyed by id, or axis-angle [poses, 63] or [poses, 21, 3] as .npy, .pt, or `pose_body`
            of an npz.
        out: the file to write, .npz or .npy.
    """
    from vitruve.devices import device_of
    from vitruve.priors import files, load_prior

    _check_suffix(out, (".npz", ".npy"))
    loaded, source = load_prior(prior).to(device_of(device)), files.read_any(file)
    files.out_names(source, out, 1, overwrite)
    if dry_run:
        print(f"would encode {len(source):,} poses into {out}")
        return
    count = files.write_codes(loaded, source, out, overwrite)
    if not quiet:
        print(f"{count:,} poses encoded in {loaded.latent} dimensions: {out}")


def decode(
    prior: Path,
    file: Path,
    *,
    out: Out,
    body: str = "open-smplx-neutral",
    device: Device = "cpu",
    dry_run: DryRun = False,
    overwrite: Overwrite = False,
    quiet: Quiet = False,
) -> None:
    """Write the poses of latent codes: poses keyed by id (.npz, .json, .pkl), or axis-angle [poses, 63] as .npy.

    Examples: `vitruve prior decode open codes.npz --out poses.npz`, `vitruve prior decode V02_05 z.npy --out
    pose_body.npy`.

    Args:
        prior: the prior that made the codes.
        file: of `vitruve prior encode`, or a .npy of [poses, latent].
        out: the file to write; its suffix gives the format.
        body: the body named in the file of poses keyed by id.
    """
    from vitruve.bodies import load_body
    from vitruve.devices import device_of
    from vitruve.formats.readers.poses_by_id import ENDINGS
    from vitruve.priors import files, load_prior

    _check_suffix(out, (*ENDINGS, ".npy"))
    if out.exists() and not overwrite:
        raise UsageError("the output exists already", where=str(out), fix="choose another, or give --overwrite")
    loaded = load_prior(prior).to(device_of(device))
    codes, ids = files.read_codes(file, loaded.latent)
    if dry_run:
        print(f"would decode {len(codes):,} codes into {out}")
        return
    files.write_decoded(loaded, codes, ids, out, load_body(body), overwrite)
    if not quiet:
        print(f"{len(codes):,} poses decoded: {out}")


def _check_suffix(out: Path, suffixes: tuple[str, ...]) -> None:
    if out.suffix not in suffixes:
        raise UsageError(f"'{out.suffix}' is not supported", where=str(out), fix=f"use {', '.join(suffixes)}")
