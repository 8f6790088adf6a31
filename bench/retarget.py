"""Retarget clips of a folder (BVH, or ASF/AMC) to the open body, one shape for each actor, and print error and speed.

    python bench/retarget.py FOLDER [--clips 20]

Clips of one actor are those whose names agree up to the last underscore (AMC); all BVH files of a folder count as one
actor. Errors are distances of joints; sliding is how much faster standing feet move than the source's.
"""

from __future__ import annotations

import argparse
import time
from collections import defaultdict
from pathlib import Path

from vitruve import load_body, load_motion
from vitruve.geometry.rotations import geodesic_distance
from vitruve.retarget.alignment import align
from vitruve.retarget.choose_mapping import find_mapping
from vitruve.retarget.quality import added_sliding
from vitruve.retarget.retarget import actor_betas, retarget_motion


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--clips", type=int, default=20, help="evenly spread over each actor's clips")
    args = parser.parse_args()
    actors = defaultdict(list)
    for file in sorted([*args.folder.glob("*.bvh"), *args.folder.glob("*.amc")]):
        actors[file.stem.rpartition("_")[0] if file.suffix == ".amc" else "all"].append(file)
    body = load_body("open-smplx-neutral")
    for actor, files in actors.items():
        files = files[:: -(-len(files) // args.clips)]
        motions = [load_motion(file) for file in files]
        betas = actor_betas(motions, body)
        rest, rows, since, frames = body.shaped(betas).rest_joints, [], time.process_time(), 0
        for file, motion in zip(files, motions):
            conversion = retarget_motion(motion, body, betas=betas, scale=1.0)
            frames += len(motion)
            seen = align(motion, find_mapping(motion.skeleton), body, rest)
            ours, theirs = (geodesic_distance(m.rotations[1:], m.rotations[:-1]) for m in (conversion.motion, motion))
            rows.append(
                (
                    conversion.error.mean,
                    conversion.error.p95,
                    100 * added_sliding(motion, conversion.motion, seen, body),
                    57.3 * float((ours.amax(1) - 1.3 * theirs.amax(1)).max()),
                    int(conversion.failed.sum()),
                )
            )
            print(f"{file.name:45s} {rows[-1][0]:5.1f} mm, p95 {rows[-1][1]:5.1f}, sliding {rows[-1][2]:+.2f} cm/s")
        rate = frames / (time.process_time() - since)
        mean, p95, sliding, jump, failed = zip(*rows)
        print(
            f"actor {actor}: {len(rows)} clips, {frames} frames, {rate:.0f} a second of processor time; "
            f"mean {min(mean):.1f} to {max(mean):.1f} mm, "
            f"p95 up to {max(p95):.1f}; sliding added up to {max(sliding):.2f} cm/s; turns beyond "
            f"1.3 times the source's {max(0.0, max(jump)):.1f} degrees; {sum(failed)} frames failed; "
            f"largest beta {float(betas.abs().max()):.1f}\n"
        )


if __name__ == "__main__":
    main()
