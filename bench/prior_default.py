"""Whether a prior trained on open data alone is useful: train it on one store, measure it on another.

    python bench/prior_default.py CMU_STORE OTHER_STORE --out FOLDER [--steps 3600 | --minutes 6] [--threads 2]

The default recipe learns from all clips of the first store but those held out and those whose source is wrong. The
second store, of other people recorded elsewhere, is never seen. Two questions: do its poses come back better than from
as many principal components, and is a hidden arm filled in better than by what needs no network: the mean of the
training poses, the linear prediction from the joints that are seen, the training pose that is nearest in them.
"""

from __future__ import annotations

import argparse
import hashlib
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies import load_body
from vitruve.data import Store, open_store
from vitruve.geometry.rotations import axis_angle_to_matrix, geodesic_distance, matrix_to_axis_angle
from vitruve.priors import PoseData, Prior, complete, load_prior, load_recipe, train_prior
from vitruve.priors.completion import NAMES, joint_mask
from vitruve.priors.evaluation import JudgedPoses, evaluate_prior
from vitruve.priors.surface import body_surface
from vitruve.priors.training import BODY

# Clips whose right forearm is turned by half a turn in the source; clips held out of the training.
_LEFT_OUT, _HELD_OUT = ("01_12", "01_13"), 3
_HIDDEN, _COMPLETED = ("left_arm", "right_leg"), 400


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("store", type=Path)
    parser.add_argument("other", type=Path)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--minutes", type=float)
    parser.add_argument("--steps", type=int)
    parser.add_argument("--licence", help="of the first store, where its clips do not say")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--every", type=int, default=20, help="each n-th frame of the other store")
    parser.add_argument("--recipe", default="vitruve")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    args.out.mkdir(parents=True, exist_ok=True)
    store, other = open_store(args.store), open_store(args.other)
    data = training_data(store)
    if args.licence:
        data = replace(data, licences=(args.licence,))
    minutes = args.minutes or (None if args.steps else 6.0)
    if not (args.out / "best.safetensors").exists():
        train_prior(data, args.out, load_recipe(args.recipe).changed(minutes=minutes, steps=args.steps))
    prior, learned = load_prior(args.out), store.body(data.train)
    told = {"training": {"train_poses": len(data.train), "held_out_poses": len(data.valid)}}
    for name, source, rows in (
        ("held_out_clips", store, data.valid[::10]),
        ("other", other, other.sample(every=args.every)),
    ):
        poses = JudgedPoses(source.body, rows, source.locate(rows)[0], f"{source.path.name}, {name}")
        told[name] = evaluate_prior(prior, poses, learned, vertices=512, samples=2000)
        told[name]["completion"] = {part: completion(prior, source, rows, learned, part) for part in _HIDDEN}
        show(name, told[name])
    (args.out / "usefulness.json").write_text(json.dumps(told, indent=1))


def training_data(store: Store) -> PoseData:
    """All clips but the wrong ones; those held out are chosen by a hash of their keys."""
    keys = [clip.key for clip in store.clips if clip.name not in _LEFT_OUT]
    keys.sort(key=lambda key: hashlib.sha256(key.encode()).digest())
    train, valid = store.sample(clips=keys[_HELD_OUT:]), store.sample(clips=keys[:_HELD_OUT])
    licences = tuple(sorted({clip.licence for clip in store.clips}))
    return PoseData(store.body, train, valid, licences, str(store.path))


def completion(prior: Prior, store: Store, rows: np.ndarray, learned: Tensor, part: str) -> dict[str, dict[str, float]]:
    """Mean error of hidden joints: positions of what hangs on them (millimetres) and rotations (degrees)."""
    rows = rows[:: max(1, len(rows) // _COMPLETED)]
    vectors, known = store.body(rows), joint_mask([part])
    wanted, hidden = axis_angle_to_matrix(vectors), ~known
    filled = {
        "prior": matrix_to_axis_angle(complete(prior, wanted, known)[:, 0]),
        "mean pose": learned.mean(0).expand(len(rows), -1, -1),
        "linear": _linear(learned, vectors, known),
        "nearest pose": learned[_nearest(learned, vectors, known)],
    }
    surface = body_surface(load_body(BODY), 1)
    target = surface.pose(wanted)[1]
    moved = [NAMES.index(name) + 1 for name in _BELOW[part]]
    out = {}
    for name, values in filled.items():
        rotations = torch.where(known[:, None, None], wanted, axis_angle_to_matrix(values))
        off = (surface.pose(rotations)[1] - target).norm(dim=-1)[:, moved]
        angle = geodesic_distance(rotations, wanted)[:, hidden]
        out[name] = {"position_mm": 1000 * float(off.mean()), "angle_deg": float(torch.rad2deg(angle).mean())}
    return out


_BELOW = {"left_arm": ("left_elbow", "left_wrist"), "right_leg": ("right_knee", "right_ankle", "right_foot")}


def _linear(learned: Tensor, vectors: Tensor, known: Tensor) -> Tensor:
    """Hidden joints as a linear function of the others, by least squares with a little damping."""
    mean = learned.mean(0)
    seen, wanted = ((learned - mean)[:, mask].flatten(1).double() for mask in (known, ~known))
    damping = 1e-2 * len(learned) * seen.var() * torch.eye(seen.shape[1], dtype=torch.float64)
    weights = torch.linalg.solve(seen.mT @ seen + damping, seen.mT @ wanted)
    out = vectors.clone()
    found = ((vectors - mean)[:, known].flatten(1).double() @ weights).unflatten(1, (-1, 3))
    out[:, ~known] = mean[~known] + found.float()
    return out


def _nearest(learned: Tensor, vectors: Tensor, known: Tensor) -> Tensor:
    return torch.cdist(vectors[:, known].flatten(1), learned[:, known].flatten(1)).argmin(1)


def show(name: str, results: dict) -> None:
    """Print the numbers that decide."""
    scores = results["scores"]
    print(f"{name}: {results['poses']:,} poses of {results['clips']} clips")
    for key in ("mpjpe_mm", "mpve_mm", "geodesic_rad", "fid/joints22@2000"):
        print(f"  {key:22}" + "  ".join(f"{c} {scores[c][key]:.4g}" for c in ("prior", "random", "mixture", "pca")))
    for part, found in results["completion"].items():
        print(
            f"  {part}: "
            + "; ".join(f"{k} {v['position_mm']:.1f} mm {v['angle_deg']:.1f} deg" for k, v in found.items())
        )


if __name__ == "__main__":
    main()
