"""Where the solver's time goes: python bench/fit.py

The open SMPL-X body with dense random correctives is moved, and found again from a start that is a few degrees off.
Each stage is timed on its own, per frame; then whole clips, with the shape given and with the shape solved.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from vitruve.bodies import BodyModel, load_body
from vitruve.bodies.kinematics import forward_kinematics
from vitruve.fit import Effort, TowardRotations, choose_points, fit_clip
from vitruve.fit.moments import Moments, compiled_step, evaluate
from vitruve.fit.points import pose_points
from vitruve.fit.terms import PointTargets
from vitruve.geometry.rotations import axis_angle_to_matrix


def main() -> None:
    """Print the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--frames", type=int, default=2048)
    parser.add_argument("--points", type=int, default=600)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json", type=Path, help="write the figures here too")
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    results: dict[str, float] = {"first_use_seconds": first_use()}
    print(
        f"first use on a machine (compilation, empty cache): {results['first_use_seconds']:.1f} s of processor time\n"
    )
    with torch.inference_mode():
        body = corrected(load_body("open-smplx-neutral"))
        print(f"{body.num_joints} joints, {arguments.points} points, {arguments.threads} threads; frames a second")
        results |= stages(body, arguments.points)
        results |= clips(body, arguments.points, arguments.frames)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=2) + "\n")


def first_use() -> float:
    """Processor seconds that compiling takes, in a process of its own with an empty cache."""
    code = (
        "import time, vitruve.fit; a = time.process_time(); import vitruve.fit.kernels; print(time.process_time() - a)"
    )
    with tempfile.TemporaryDirectory() as cache:
        environment = {**os.environ, "NUMBA_CACHE_DIR": cache}
        done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True)
    return float(done.stdout)


def corrected(body: BodyModel) -> BodyModel:
    """The body with correctives that reach all of the skin, as licensed files have them."""
    generator = torch.Generator().manual_seed(0)
    basis = 5e-4 * torch.randn(9 * (body.num_joints - 1), 3 * body.num_vertices, generator=generator)
    names = (
        "name",
        "layout",
        "gender",
        "skeleton",
        "template",
        "shape_basis",
        "joint_regressor",
        "skin_weights",
        "faces",
    )
    return BodyModel(**{name: getattr(body, name) for name in names}, pose_basis=basis)


def motion(body: BodyModel, frames: int) -> tuple[Tensor, Tensor]:
    """A smooth random motion."""
    generator = torch.Generator().manual_seed(1)
    time_axis = torch.arange(frames)[:, None, None] / 60
    rate, phase, size = (torch.randn(1, body.num_joints, 3, generator=generator) for _ in range(3))
    rotations = axis_angle_to_matrix(0.3 * size * torch.sin(rate * time_axis + 3 * phase))
    return rotations, torch.cat([time_axis[:, 0] % 5, 0 * time_axis[:, 0], 0 * time_axis[:, 0] + 0.9], -1)


def stages(body: BodyModel, count: int, frames: int = 256) -> dict[str, float]:
    """Frames a second of each stage of a round."""
    vertices = torch.randperm(body.num_vertices, generator=torch.Generator().manual_seed(0))[:count]
    points = choose_points(body, vertices=vertices)
    rotations, translation = motion(body, frames)
    targets = PointTargets.of(points.positions(rotations, translation), None)
    moments, local, shift = Moments.of(points), rotations.double(), translation.double()
    stand = evaluate(moments, targets, local, shift, (), torch.arange(frames))
    damping, free = torch.full((frames,), 1e-5, dtype=torch.float64), torch.ones(body.num_joints, dtype=torch.bool)
    calls: dict[str, Callable[[], object]] = {
        "joints alone": lambda: forward_kinematics(rotations, points.joints, points.parents),
        "points posed (as targets, or to be evaluated)": lambda: pose_points(points, rotations, translation),
        "evaluating and gradient (posing included)": lambda: evaluate(
            moments, targets, local, shift, (), torch.arange(frames)
        ),
        "compiled step": lambda: compiled_step(moments, stand, damping, free),
    }
    rates = {name: frames / best_of(call) for name, call in calls.items()}
    gradient, step = rates["evaluating and gradient (posing included)"], rates["compiled step"]
    rates["one round (step and evaluating)"] = 1 / (1 / gradient + 1 / step)
    for name, rate in rates.items():
        print(f"  {name:42s} {rate:10,.0f}")
    return rates


def clips(body: BodyModel, count: int, frames: int) -> dict[str, float]:
    """Whole clips: rate, error against the truth, jitter."""
    vertices = torch.randperm(body.num_vertices, generator=torch.Generator().manual_seed(0))[:count]
    betas = torch.linspace(-1, 1, body.num_betas)
    rotations, translation = motion(body, frames)
    points = choose_points(body, vertices=vertices)
    source, shaped = points.shaped(betas), body.shaped(betas)
    generator = torch.Generator().manual_seed(2)
    off = axis_angle_to_matrix(0.05 * torch.randn(1, body.num_joints, 3, generator=generator))
    start, copied = off @ rotations, TowardRotations(off @ rotations, torch.full((body.num_joints,), 1e-3))
    results: dict[str, float] = {}
    print(f"\nclips of {frames} frames, start 0.05 rad off at every joint")
    for name, given, rounds in (
        ("shape given, 1 round", betas, 1),
        ("3 rounds", betas, 3),
        ("shape solved, 3 rounds", None, 3),
    ):
        begun = time.perf_counter()
        fit = fit_clip(
            body,
            points,
            lambda rows: source.positions(rotations[rows], translation[rows]),
            start,
            translation + 0.02,
            betas=given,
            terms=(copied,),
            effort=Effort(rounds=rounds),
        )
        rate = frames / (time.perf_counter() - begun)
        rows = slice(0, min(frames, 400))
        away = body.shaped(fit.betas).vertices(fit.rotations[rows], fit.translation[rows])
        away -= shaped.vertices(rotations[rows], translation[rows])
        jitter = (away[2:] - 2 * away[1:-1] + away[:-2]).norm(dim=-1).mean()
        error = away.norm(dim=-1).mean()
        print(
            f"  {name:24s} {rate:8,.0f} frames/s  surface {1e3 * error:7.3f} mm  jitter {1e3 * jitter:.5f} mm/frame^2"
        )
        results |= {f"{name}: frames_per_second": rate, f"{name}: error_mm": 1e3 * float(error)}
    return results


def best_of(call: Callable[[], object], times: int = 7) -> float:
    """Seconds of the fastest of several calls: the machine may be shared."""
    seconds = []
    for _ in range(times):
        begun = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - begun)
    return float(np.min(seconds))


if __name__ == "__main__":
    main()
