"""Whether denoising makes motions and poses better at every level of noise, on motion the prior has never seen.

    python bench/prior_denoise.py STORE [STORE ...] [--prior open] [--only youthful] [--clips 6] [--frames 240]

Each joint is turned by normal noise about each axis. Motions: frames in a row, noise given and noise found. Poses:
every tenth frame of all clips together, the noise given. Errors before and after: degrees of a joint, millimetres of
a position.
"""

from __future__ import annotations

import argparse
import math
from pathlib import Path

import torch
from torch import Tensor

from vitruve.bodies import load_body
from vitruve.data import open_store
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance
from vitruve.priors import denoise, denoise_motion, estimate_noise, load_prior
from vitruve.priors.surface import BodySurface, body_surface
from vitruve.priors.training import BODY

_LEVELS = (1, 2, 5, 10, 20, 30)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("stores", type=Path, nargs="+")
    parser.add_argument("--prior", default="open")
    parser.add_argument("--only", default="", help="only clips with one of these words in their names, with commas")
    parser.add_argument("--clips", type=int, default=6, help="of each store, at even distances")
    parser.add_argument("--frames", type=int, default=240, help="of each clip, from its beginning")
    args = parser.parse_args()
    torch.set_num_threads(1)
    prior, surface = load_prior(args.prior), body_surface(load_body(BODY), 1)
    print("| data | noise, deg | motion before | after | noise found, deg | after | poses before | after |")
    print("|---|---|---|---|---|---|---|---|")
    for store in args.stores:
        clips = _clips(store, args.only.split(","), args.clips, args.frames)
        poses = torch.cat([clip[::10] for clip in clips])
        for degrees in _LEVELS:
            level = math.radians(degrees)
            given = [_noisy(clip, level, i) for i, clip in enumerate(clips)]
            single = torch.cat([clip[::10] for clip in given])
            row = [
                _off(surface, given, clips),
                _off(surface, [denoise_motion(prior, clip, level) for clip in given], clips),
                _found(given),
                _off(surface, [denoise_motion(prior, clip) for clip in given], clips),
                _off(surface, [single], [poses]),
                _off(surface, [denoise(prior, single, level)], [poses]),
            ]
            print(f"| {store.name}, {len(clips)} clips | {degrees} | " + " | ".join(row) + " |", flush=True)


def _clips(path: Path, words: list[str], count: int, frames: int) -> list[Tensor]:
    store = open_store(path)
    clips = [clip for clip in store.clips if any(word in clip.name for word in words)]
    chosen = clips[:: max(1, len(clips) // count)][:count]
    return [axis_angle_to_matrix(store.body(range(c.start, c.start + min(c.frames, frames)))) for c in chosen]


def _noisy(rotations: Tensor, level: float, seed: int) -> Tensor:
    noise = torch.randn(*rotations.shape[:-2], 3, generator=torch.Generator().manual_seed(seed))
    return rotations @ axis_angle_to_matrix(level * noise)


def _off(surface: BodySurface, found: list[Tensor], wanted: list[Tensor]) -> str:
    a, b = torch.cat(found), torch.cat(wanted)
    far = (surface.pose(a)[1] - surface.pose(b)[1])[:, :22].norm(dim=-1).mean()
    angle = math.degrees(float(geodesic_distance(a, b).mean()))
    return f"{angle:.2f} deg, {1000 * float(far):.1f} mm"


def _found(motions: list[Tensor]) -> str:
    return f"{math.degrees(float(torch.stack([estimate_noise(clip) for clip in motions]).median())):.1f}"


if __name__ == "__main__":
    main()
